//go:build unix

package inspect_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestLook(t *testing.T) {
	b := openBrowser(t)
	loop := storetest.New(t, loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 100}}})
	files, _ := filepath.Glob("../../cmd/internal/demo/conversations/*.json")
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		_, err = loop.CommitSessionBoundary(t.Context(), store.RuntimeID(filepath.Base(f)), store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: text}, RunID: store.NewRunID(), Boundary: store.RunStart})
		require.NoError(t, err)
	}
	at := serve(t, loop)
	lived(t, loop)
	text, _, err := loop.LoadSessionSnapshot(t.Context(), "travel-booking.json")
	require.NoError(t, err)
	changed := strings.Replace(string(text), "my partner can't do stairs well", "my partner can't do any stairs", 1)
	cut := strings.LastIndex(changed, `,{"role":`)
	changed = changed[:cut] + `,{"role":"user","content":"Thanks!\nAnd one more thing."},{"role":"assistant","content":"Yes?","stop_reason":"max_tokens","usage":{"input_tokens":12,"output_tokens":30}}` + changed[strings.Index(changed, `],"created_at"`):]
	_, err = loop.CommitSessionBoundary(t.Context(), "travel-booking.json", store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: []byte(changed)}, RunID: store.NewRunID(), Boundary: store.RunStart})
	require.NoError(t, err)
	for name, path := range map[string]string{"conv": "transcript?id=travel-booking.json", "timeline": "timeline?id=agent", "diff": "diff?id=travel-booking.json", "versions": "versions?id=agent", "runtime": "runtime?id=agent", "zoomed": "timeline?id=agent&from=" + url.QueryEscape(time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)) + "&to=" + url.QueryEscape(time.Now().UTC().Format(time.RFC3339))} {
		b.visit(at + path)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{320, 1200} {
				b.look(width, scheme)
				b.picture(fmt.Sprintf("t-%s-%s-%d", name, scheme, width), width)
			}
		}
	}
	b.noFaults()
}

// lived makes a runtime that has had inputs for a while, one of which nobody has taken.
func lived(t *testing.T, loop *loopstore.Loop) {
	now := store.TimeOf(time.Now().Truncate(time.Millisecond))
	ago := func(d time.Duration) store.Time { return store.TimeOf(now.Time().Add(-d)) }
	stuck := store.NewInputState(uuidOf(store.ParseInputID, 100), ago(5*time.Hour))
	require.NoError(t, stuck.Move(store.InputQueued, ago(5*time.Hour-3*time.Second), ""))
	require.NoError(t, loop.PersistInputState(t.Context(), "agent", stuck))
	for n := range 12 {
		began := time.Duration(120-8*n) * time.Minute
		in := store.NewInputState(uuidOf(store.ParseInputID, 101+n), ago(began))
		require.NoError(t, in.Move(store.InputQueued, ago(began-2*time.Second), ""))
		require.NoError(t, in.Move(store.InputStaged, ago(began-time.Duration(n+1)*20*time.Second), ""))
		require.NoError(t, in.Move(store.InputApplied, ago(began-time.Duration(n+1)*25*time.Second), ""))
		if n < 10 {
			require.NoError(t, in.Move(store.InputConsumed, ago(began-time.Duration(n+4)*40*time.Second), ""))
			in.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeConsumed}
		}
		run := store.NewRunID()
		for k := range 1 + n%3 {
			_, err := loop.CommitSessionBoundary(t.Context(), "agent", store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: fmt.Appendf(nil, "{\"role\":\"user\",\"text\":\"line %d of %d\"}\n", k, n), Format: store.FormatLines, Append: true},
				RunID:   run, Boundary: store.RunCheckpoint, InputUpdates: []store.InputState{in}, ContributingInputIDs: []store.InputID{in.InputID}})
			require.NoError(t, err)
		}
	}
}
