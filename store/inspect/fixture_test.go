package inspect_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

// conversation makes a runtime whose session has something of everything, and changes, and
// whose inputs have come and gone for two hours. It returns the parameters of the last one
// of these.
func conversation(t testing.TB, loop *loopstore.Loop) string {
	now := time.Now().Truncate(time.Second)
	lines := strings.Join([]string{
		lineOf("system", "You plan trips. "+strings.Repeat("Never pay without an explicit yes. ", 10)),
		lineOf("user", "Two of us want to go from Zürich to 京都 for the leaves.\nWe can't do stairs well."),
		`{"role":"assistant","content":[{"type":"thinking","thinking":"Flights first."},{"type":"text","text":"I look at flights."},{"type":"tool_use","id":"1","name":"search_flights","input":{"adults":2,"from":"ZRH","to":["KIX","ITM"],"depart":"2026-11-12","max_stops":1}},{"type":"tool_use","id":"2","name":"leaf_forecast","input":{"city":"京都"}}],"usage":{"input_tokens":812,"output_tokens":64}}`,
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"LX-KE-77 via ICN, CHF 1034\nAY-12 via HEL, CHF 948"},{"type":"tool_result","tool_use_id":"2","is_error":true,"content":"no such city ` + strings.Repeat("w", 200) + `"}]}`,
		`{"role":"user","content":[{"type":"text","text":"Here is a map."},{"type":"image","source":{"media_type":"image/png","data":"` + strings.Repeat("A", 4000) + `"}}]}`,
		`{"role":"assistant","tool_calls":[{"id":"3","function":{"name":"book","arguments":"{\"flight\":\"LX-KE-77\"}"}}]}`,
		`{"note":"` + strings.Repeat("unbroken", 60) + `"}`,
	}, "\n") + "\n"
	commit := func(text string, run store.RunID, in store.InputState) {
		_, err := loop.CommitSessionBoundary(t.Context(), "talk", store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: []byte(text), Format: store.FormatLines}, RunID: run, Boundary: store.RunCheckpoint,
			ContributingInputIDs: []store.InputID{in.InputID}, InputUpdates: []store.InputState{in},
		})
		require.NoError(t, err)
	}
	for n := range 9 {
		began := now.Add(-2*time.Hour + time.Duration(n)*11*time.Minute)
		states := []store.InputLifecycleState{store.InputQueued, store.InputStaged, store.InputApplied, store.InputConsumed}
		in := moved(t, 200+n, began, time.Duration(n+1)*20*time.Second, states[:4-n/8]...)
		commit(lines+lineOf("user", fmt.Sprint("turn ", n))+"\n", store.NewRunID(), in)
	}
	require.NoError(t, loop.PersistInputState(t.Context(), "talk", moved(t, 220, now.Add(-5*time.Hour), 3*time.Second, store.InputQueued)))
	changed := strings.Replace(strings.Replace(lines, "stairs well", "any stairs", 1), lineOf("system", "You plan"), "", 1)
	commit(changed+lineOf("assistant", "Booked.\nHave a good time!")+"\n"+lineOf("user", "Thanks")+"\n", store.NewRunID(), moved(t, 230, now.Add(-time.Minute), time.Second, store.InputQueued, store.InputStaged))
	return "&from=" + store.TimeOf(now.Add(-2*time.Hour)).String() + "&to=" + store.TimeOf(now).String()
}
