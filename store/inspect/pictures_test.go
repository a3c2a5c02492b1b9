//go:build unix

package inspect_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/storetest"
)

// The pictures of the documentation, by their names, with the pages that they are of.
var pictures = []struct {
	name, path string
	height     int
}{
	{"runtimes", "/", 1050},
	{"timeline", "/timeline?id=support%2Ferin", 800},
	{"transcript", "/transcript?from=1&id=support%2Fanna", 620},
}

// TestPictures makes the pictures of the documentation: docs/operating.md says how. They are
// of a store in which one agent is stuck.
func TestPictures(t *testing.T) {
	if *screenshots == "" {
		t.Skip("nobody wants pictures")
	}
	pages := make(map[string]string)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)))
		loop := storetest.New(t, loopstore.Options{Activity: true, Retention: store.Retention{Sessions: store.Keep{Last: 100}}})
		work(t, loop)
		h := inspect.Handler(loop, inspect.Options{Payloads: true})
		for _, p := range pictures {
			pages[p.path] = get(t, h, p.path).Body.String()
		}
	})
	server := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if page, ok := pages[r.URL.RequestURI()]; ok {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, page)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: begin\ndata:\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	b := openBrowser(t)
	for _, p := range pictures {
		b.visit(server.URL + p.path)
		b.until(isLive)
		for _, scheme := range []string{"light", "dark"} {
			b.look(1000, scheme)
			b.shoot(p.name+"-"+scheme, 1000, p.height)
		}
	}
	b.noFaults()
}

// work is half an hour in which ten agents answer, and one of them gets stuck in a turn.
func work(t *testing.T, loop *loopstore.Loop) {
	ctx, started := t.Context(), time.Now()
	names := []string{"anna", "bilal", "chen", "dora", "erin", "fynn", "gita", "hugo", "ines", "juan"}
	number, hangs := 0, false // from then on one turn does not end
	commit := func(id store.RuntimeID, run store.RunID, boundary store.RunApplyBoundary, text string, inputs ...store.InputState) {
		writes := []batch.Write{batch.CommitBoundary{RuntimeID: id, Commit: store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: []byte(text), Format: store.FormatLines, Append: true}, RunID: run, Boundary: boundary, InputUpdates: inputs,
		}}}
		_, err := loop.Commit(ctx, batch.Batch{Then: writes})
		require.NoError(t, err)
	}
	for minute := 0; ; minute++ {
		for i, name := range names {
			id := store.RuntimeID("support/" + name)
			if minute == 0 {
				_, err := loop.Commit(ctx, batch.Batch{Then: []batch.Write{
					batch.PutLabels{RuntimeID: id, Labels: map[string]string{"team": []string{"billing", "travel"}[i%2]}}, batch.PutRuntimeState{RuntimeID: id, State: store.RuntimeIdle},
				}})
				require.NoError(t, err)
			}
			if (minute+i)%(2+i%3) > 0 {
				continue
			}
			number++
			stuck := name == "erin" && number > 60
			in := store.NewInputState(uuidOf(store.ParseInputID, number), store.TimeOf(time.Now()))
			in.PersistedInput = []byte(`{"text":"Where is my refund?"}`)
			require.NoError(t, loop.PersistInputState(ctx, id, in))
			if stuck && hangs {
				continue
			}
			hangs = hangs || stuck
			time.Sleep(time.Duration(1+i%4) * 300 * time.Millisecond)
			require.NoError(t, in.Move(store.InputStaged, store.TimeOf(time.Now()), ""))
			require.NoError(t, loop.PersistInputState(ctx, id, in))
			require.NoError(t, loop.PersistRuntimeState(ctx, id, store.RuntimeRunning))
			ms := time.Now().UnixMilli()
			run, err := store.ParseRunID(fmt.Sprintf("%08x-%04x-7000-8000-%012x", ms>>16, ms&0xffff, number))
			require.NoError(t, err)
			require.NoError(t, in.Move(store.InputApplied, store.TimeOf(time.Now()), ""))
			commit(id, run, store.RunStart, `{"role":"user","content":"Where is my refund for order 4711?"}`+"\n", in)
			if stuck {
				continue
			}
			time.Sleep(time.Duration(2+i%3) * time.Second)
			commit(id, run, store.RunCheckpoint, strings.Join([]string{
				`{"role":"assistant","content":[{"type":"thinking","thinking":"The order system knows."},{"type":"text","text":"Let me look that up."},{"type":"tool_use","id":"call_1","name":"find_order","input":{"order":4711,"fields":["refund","state"]}}],"usage":{"input_tokens":812,"output_tokens":64}}`,
				`{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"refund: EUR 129.90, sent on 25 November\nstate: closed"}]}`, "",
			}, "\n"))
			time.Sleep(time.Second)
			require.NoError(t, in.Move(store.InputConsumed, store.TimeOf(time.Now()), ""))
			commit(id, run, store.RunCheckpoint, `{"role":"assistant","content":"Your refund of EUR 129.90 was sent on 25 November. It takes up to five days to arrive.","usage":{"input_tokens":911,"output_tokens":31}}`+"\n", in)
			require.NoError(t, loop.PersistRuntimeState(ctx, id, store.RuntimeIdle))
		}
		if time.Since(started) > 30*time.Minute {
			return
		}
		time.Sleep(20 * time.Second)
	}
}
