package disk_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/state"
)

// views show all runtimes of a State.
type views map[store.RuntimeID]string

// A recorder is an engine that knows what was appended.
type recorder struct {
	journal.Engine
	batches [][]journal.Change
}

type recorded struct {
	journal.Journal
	to *recorder
}

func (r *recorder) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := r.Engine.Open(ctx, partition, emit)
	return recorded{j, r}, err
}

func (r recorded) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	var copied []journal.Change
	for _, c := range b.Changes {
		copied = append(copied, journal.Change{Key: bytes.Clone(c.Key), Value: bytes.Clone(c.Value), Delete: c.Delete})
	}
	r.to.batches = append(r.to.batches, copied)
	return r.Journal.Append(ctx, b)
}

// replayed replays what is emitted.
func replayed(t testing.TB, all []journal.Change) (*state.State, state.Salvaged) {
	t.Helper()
	s := new(state.State)
	r := state.NewReplay(s)
	defer r.Close()
	r.Salvage()
	for _, c := range all {
		require.NoError(t, r.Put(c))
	}
	require.NoError(t, r.Done())
	return s, r.Salvaged()
}

// A wrecked directory is to be damaged. It knows what each runtime was at any time.
type wrecked struct {
	directory
	opts disk.Options
	path string
	now  views
	ever map[store.RuntimeID]map[string]bool
	all  []journal.Change
}

// wreck makes a directory in which a loop did something of every kind. What the last rounds
// did is in the log alone.
func wreck(t *testing.T, segment int64) *wrecked {
	t.Helper()
	w := &wrecked{
		path: filepath.Join(t.TempDir(), "journal"), ever: map[store.RuntimeID]map[string]bool{},
		opts: disk.WithSegments(disk.Options{Timeout: -1, CompactAt: -1}, segment),
	}
	r := &recorder{Engine: disk.New(w.path, w.opts)}
	ctx := t.Context()
	open := func() *loopstore.Loop {
		l, err := loopstore.Open(context.WithoutCancel(ctx), r, "p0", loopstore.Options{})
		require.NoError(t, err)
		return l
	}
	l := open()
	runs := map[store.RuntimeID]store.RunID{}
	inputs := map[store.RuntimeID][]store.InputState{}
	for round := range 6 {
		for n := range 24 {
			if n%3 != round%3 && round > 0 {
				continue // so many are in the pages alone
			}
			id := store.RuntimeID(fmt.Sprint("runtime-", n))
			if runs[id] == (store.RunID{}) {
				runs[id] = store.NewRunID()
			}
			input := store.NewInputState(store.NewInputID(), store.Time{})
			input.PersistedInput = fmt.Appendf(nil, `{"n":%d}`, round)
			require.NoError(t, l.PersistInputState(ctx, id, input))
			inputs[id] = append(inputs[id], input)
			again := inputs[id][0]
			again.PersistedInput = fmt.Appendf(nil, `{"again":%d}`, round)
			_, err := l.CommitSessionBoundary(ctx, id, store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: snapshotOf(1 + round)}, RunID: runs[id], Boundary: store.RunCheckpoint,
				ContributingInputIDs: []store.InputID{input.InputID}, InputUpdates: []store.InputState{again},
			})
			require.NoError(t, err)
			require.NoError(t, l.PersistRuntimeState(ctx, id, store.RuntimeIdle))
			if n%5 == 4 {
				_, err := l.DeleteRuntime(ctx, id)
				require.NoError(t, err)
				delete(runs, id)
				delete(inputs, id)
			}
		}
		if round < 4 {
			require.NoError(t, l.Compact(ctx))
		}
	}
	require.NoError(t, l.Close())
	require.NoError(t, open().Close()) // so that the last frame is none that anybody was told of
	w.directory = readDir(t, w.path)

	stands := map[string]journal.Change{}
	for _, batch := range r.batches {
		for _, c := range batch {
			if stands[string(c.Key)] = c; c.Delete {
				delete(stands, string(c.Key))
			}
		}
		w.all = nil
		for _, key := range slices.Sorted(keys(stands)) {
			w.all = append(w.all, stands[key])
		}
		s, _ := replayed(t, w.all)
		w.now = fixture.Runtimes(t, s)
		for id, what := range w.now {
			if w.ever[id] == nil {
				w.ever[id] = map[string]bool{}
			}
			w.ever[id][what] = true
		}
	}
	return w
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// A tally counts what came out.
type tally struct{ damages, runtimes, current, older, aside int }

func (n tally) String() string {
	all := float64(n.runtimes)
	return fmt.Sprintf("%d damages: %.1f %% of the runtimes are as they were last, %.1f %% as they were before, %.1f %% are named and set aside",
		n.damages, 100*float64(n.current)/all, 100*float64(n.older)/all, 100*float64(n.aside)/all)
}

// salvaged salvages the directory with another content of one file, or without it, and puts
// it back. It fails the test if anything comes out that never was.
func (w *wrecked) salvaged(t *testing.T, what, name string, content []byte, n *tally) (got views, found []disk.Damage) {
	t.Helper()
	path := filepath.Join(w.path, name)
	if content == nil {
		require.NoError(t, os.Remove(path))
	} else {
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
	defer func() { require.NoError(t, os.WriteFile(path, []byte(w.directory[name]), 0o600)) }()
	return w.salvage(t, what, n)
}

func (w *wrecked) salvage(t *testing.T, what string, n *tally) (got views, found []disk.Damage) {
	t.Helper()
	var all []journal.Change
	found, err := disk.Salvage(t.Context(), w.path, "p0", w.opts, state.Unit, func(c journal.Change) error {
		require.False(t, c.Delete)
		if len(all) > 0 {
			require.Negative(t, bytes.Compare(all[len(all)-1].Key, c.Key), what)
		}
		all = append(all, journal.Change{Key: bytes.Clone(c.Key), Value: bytes.Clone(c.Value)})
		return nil
	})
	require.NoError(t, err, what)
	s, left := replayed(t, all)
	if len(found) == 0 { // and so Open takes it
		_, err := disk.Read(t.Context(), w.path, "p0", w.opts, func(c journal.Change) error {
			require.NotEmpty(t, all, what)
			require.Equal(t, string(c.Key), string(all[0].Key), what)
			require.True(t, bytes.Equal(c.Value, all[0].Value), what)
			all = all[1:]
			return nil
		})
		require.NoError(t, err, what)
		require.Empty(t, all, what)
	}
	got = fixture.Runtimes(t, s)
	n.damages++
	n.runtimes += len(w.now)
	for id, is := range got {
		require.True(t, w.ever[id][is], "%s: runtime %s never was like that: %s\n%v", what, id, is, found)
		if is == w.now[id] {
			n.current++
		} else if w.now[id] != "" {
			n.older++
		}
	}
	n.aside += len(left.Asides)
	for _, d := range found {
		require.NotEmpty(t, d.Reason)
	}
	return got, found
}
