package inspect_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What payloads say, and nothing else.
const (
	secretInput    = `{"text":"canary-input </script><script>document.title='owned'</script>"}`
	secretMessage  = `canary-message </script><img src=x onerror=alert(1)>`
	secretSnapshot = `{"id":"0195b1c2-0000-7000-8000-000000000001","messages":[{"role":"user","content":"` + secretMessage + `"}],` +
		`"created_at":{"secs_since_epoch":1,"nanos_since_epoch":0},"updated_at":{"secs_since_epoch":1,"nanos_since_epoch":0}}`
)

var (
	noon   = store.TimeOf(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	busy   = store.RuntimeID("agent/1 <script>alert(1)</script>")
	forked = store.RuntimeID("fork <b>")
	first  = uuidOf(store.ParseInputID, 1)
	last   = uuidOf(store.ParseInputID, 9)
	run    = uuidOf(store.ParseRunID, 1)
)

// listen serves h until the test has ended. By then its requests' contexts have, too, so
// that a browser which begins a stream once more keeps no server from closing.
func listen(t *testing.T, h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.BaseContext = func(net.Listener) context.Context { return t.Context() }
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func uuidOf[T any](parse func(string) (T, error), n int) T {
	id, err := parse(fmt.Sprintf("0197f3a2-0000-7000-8000-%012d", n))
	if err != nil {
		panic(err)
	}
	return id
}

// sample returns a loop that holds one runtime with something of everything, and a fork
// of it.
func sample(t testing.TB) *loopstore.Loop {
	loop := storetest.New(t, loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 100}}})
	fill(t, loop)
	return loop
}

// fill gives a loop what the sample holds.
func fill(t testing.TB, loop *loopstore.Loop) {
	ctx := context.WithoutCancel(t.Context())
	var applied []store.InputState
	for n := 1; n <= 3; n++ {
		input := store.NewInputState(uuidOf(store.ParseInputID, n), noon)
		input.CurrentState, input.AttemptCount = store.InputConsumed, 1
		input.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeConsumed}
		input.PersistedInput = []byte(secretInput)
		input.Policy = &store.PolicySnapshot{Version: 3, Decision: store.PolicyDecision{
			ApplyMode: store.StageRunBoundary, WakeMode: store.WakeIfIdle, QueueMode: store.QueueFIFO,
			ConsumePoint: store.ConsumeOnApply, PolicyVersion: 7,
		}}
		input.IdempotencyKey = new("key <b>")
		input.History = []store.HistoryEntry{
			{Timestamp: noon, From: store.InputAccepted, To: store.InputApplied},
			{Timestamp: noon, From: store.InputApplied, To: store.InputConsumed, Reason: new("reason <b>")},
		}
		applied = append(applied, input)
	}
	for i := range applied {
		_, err := loop.CommitSessionBoundary(ctx, busy, store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: []byte(secretSnapshot)}, RunID: run, Boundary: []store.RunApplyBoundary{store.RunStart, store.RunCheckpoint}[min(i, 1)],
			ContributingInputIDs: []store.InputID{applied[i].InputID}, InputUpdates: applied[i : i+1],
		})
		require.NoError(t, err)
	}
	for n, state := range []store.InputLifecycleState{store.InputQueued, store.InputStaged, store.InputAbandoned, store.InputSuperseded, store.InputCoalesced, store.InputAccepted} {
		input := store.NewInputState(uuidOf(store.ParseInputID, 4+n), noon)
		input.CurrentState = state
		switch state {
		case store.InputAbandoned:
			input.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeAbandoned, Reason: store.AbandonReset}
		case store.InputSuperseded:
			input.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeSuperseded, SupersededBy: first}
		case store.InputCoalesced:
			input.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeCoalesced, AggregateID: last}
		case store.InputAccepted:
			input.ReconstructionSource = &store.ReconstructionSource{Type: store.SourceCoalescing, SourceInputIDs: []store.InputID{first}}
		case store.InputQueued:
			input.ReconstructionSource = &store.ReconstructionSource{Type: store.SourceProjection, RuleID: "rule <b>", SourceEventID: "event"}
		}
		require.NoError(t, loop.PersistInputState(ctx, busy, input))
	}
	require.NoError(t, loop.PersistRuntimeState(ctx, busy, store.RuntimeRunning))
	require.NoError(t, loop.Fork(ctx, busy, 2, forked))
}

// get asks a handler, and requires what every answer has.
func get(t testing.TB, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
	for name, value := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		require.Equal(t, value, w.Header().Get(name), name)
	}
	for _, part := range []string{
		"default-src 'none'; img-src data:; style-src 'sha256-", "; script-src 'sha256-", "; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
	} {
		require.Contains(t, w.Header().Get("Content-Security-Policy"), part)
	}
	return w
}
