package inspect_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/storetest"
)

// large returns a loop with 10,000 runtimes, one of which has 100,000 inputs, the first of
// them open and the others done. A run has long receipts.
func large(t testing.TB) *loopstore.Loop {
	loop := storetest.New(t, loopstore.Options{Activity: true})
	ctx := context.WithoutCancel(t.Context())
	var writes []batch.Write
	for n := range 10_000 {
		id := store.RuntimeID(fmt.Sprintf("tenant-%02d/agent-%05d", n%50, n))
		input := store.NewInputState(uuidOf(store.ParseInputID, n), noon)
		input.CurrentState = []store.InputLifecycleState{store.InputQueued, store.InputStaged}[n%2]
		writes = append(writes,
			batch.PutRuntimeState{RuntimeID: id, State: store.RuntimeIdle}, batch.PutInputState{RuntimeID: id, State: input},
			batch.PutLabels{RuntimeID: id, Labels: map[string]string{"tenant": fmt.Sprint(n % 50), "model": "large <b>"}})
	}
	for n := range 100_000 {
		input := store.NewInputState(uuidOf(store.ParseInputID, n), noon)
		if n > 0 {
			input.CurrentState, input.TerminalOutcome = store.InputConsumed, &store.TerminalOutcome{Type: store.OutcomeConsumed}
		}
		input.PersistedInput = []byte(secretInput)
		writes = append(writes, batch.PutInputState{RuntimeID: "large", State: input})
	}
	for len(writes) > 0 {
		n := min(len(writes), 1000)
		_, err := loop.Commit(ctx, batch.Batch{Then: writes[:n]})
		require.NoError(t, err)
		writes = writes[n:]
	}
	many := make([]store.InputID, 100)
	for n := range many {
		many[n] = uuidOf(store.ParseInputID, n)
	}
	for n := range uint64(150) {
		require.NoError(t, loop.AtomicApply(ctx, "large", store.BoundaryApply{
			Receipt: store.RunBoundaryReceipt{RunID: run, Boundary: store.RunCheckpoint, Sequence: n, ContributingInputIDs: many},
		}))
	}
	return loop
}

var largePages = []string{
	"/", "/?sort=id&page=50", "/?q=agent-0&label=tenant%3D7", "/?input=queued&sort=open&desc=1", "/runtime?id=large", "/inputs?id=large",
	"/inputs?id=large&state=accepted", "/input?id=large&input=" + uuidOf(store.ParseInputID, 99_999).String(), "/runs?id=large", "/run?id=large&run=" + run.String(),
	"/versions?id=large", "/stats",
}

// However much there is, a page stays small.
func TestPagesOfMuchAreSmall(t *testing.T) {
	h := inspect.Handler(large(t), inspect.Options{Payloads: true})
	for _, target := range largePages {
		page, asJSON := get(t, h, target), accepting(t, h, target, "application/json")
		require.Equal(t, 200, page.Code, target)
		require.Less(t, page.Body.Len(), 300_000, target)
		require.Less(t, asJSON.Body.Len(), 300_000, target)
		require.NotContains(t, page.Body.String(), "<b>")
		t.Logf("%-40s %7d B, JSON %7d B", target, page.Body.Len(), asJSON.Body.Len())
	}
	_, shown := getJSON(t, h, "/?q=large")
	require.Equal(t, noon.String(), shown["runtimes"].([]any)[0].(map[string]any)["open_since"], "the first input of all")
}

func BenchmarkPage(b *testing.B) {
	h := inspect.Handler(large(b), inspect.Options{Payloads: true})
	for _, target := range largePages {
		b.Run("page="+strings.ReplaceAll(target, "/", ""), func(b *testing.B) {
			size := 0
			for b.Loop() {
				size = get(b, h, target).Body.Len()
			}
			b.ReportMetric(float64(size), "B/page")
		})
	}
}
