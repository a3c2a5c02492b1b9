package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/storetest"
)

// openLoop opens a store on a directory.
func openLoop(t testing.TB, path string) *loopstore.Loop {
	t.Helper()
	return openLoopWith(t, path, loopstore.Options{})
}

func openLoopWith(t testing.TB, path string, opts loopstore.Options) *loopstore.Loop {
	t.Helper()
	l, err := loopstore.Open(context.WithoutCancel(t.Context()), disk.New(path, disk.Options{}), "p0", opts)
	require.NoError(t, err)
	return l
}

// A loop on a directory keeps every promise of a store, and those of reopening.
func TestLoopOnADirectory(t *testing.T) {
	type opened struct {
		path string
		opts loopstore.Options
	}
	all := map[store.RuntimeStore]opened{}
	open := func(t testing.TB, o opened) store.RuntimeStore {
		l := openLoopWith(t, o.path, o.opts)
		all[l] = o
		return l
	}
	n, dir := 0, t.TempDir()
	next := func() string {
		n++
		return filepath.Join(dir, fmt.Sprint(n))
	}
	storetest.Run(t, storetest.Factory{
		Open:   func(t testing.TB) store.RuntimeStore { return open(t, opened{path: next()}) },
		Reopen: func(t testing.TB, s store.RuntimeStore) store.RuntimeStore { return open(t, all[s]) },
		OpenWith: func(t testing.TB, opts loopstore.Options) store.RuntimeStore {
			return open(t, opened{next(), opts})
		},
	})
}

// snapshotOf is a session document of so many messages of 1 KB.
func snapshotOf(messages int) []byte {
	message := `{"role":"user","content":"` + strings.Repeat("x", 1<<10) + `"}`
	return fmt.Appendf(nil, `{"id":"0195b1c2-0000-7000-8000-000000000001","messages":[%s],"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"updated_at":{"secs_since_epoch":3,"nanos_since_epoch":4}}`,
		strings.Join(slices.Repeat([]string{message}, messages), ","))
}

// exported is all that a loop holds.
func exported(t testing.TB, l *loopstore.Loop) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, l.Export(t.Context(), &b))
	return b.String()
}

// fillLoop makes a journal in which something of every kind stands, was replaced, and
// was removed, and returns all that its loop held.
func fillLoop(t testing.TB, path string) string {
	t.Helper()
	l, ctx := openLoop(t, path), t.Context()
	for n := range 20 {
		id, run := store.RuntimeID(fmt.Sprint("runtime-", n)), store.NewRunID()
		input := store.NewInputState(store.NewInputID(), store.Time{})
		input.PersistedInput = []byte(`{"n":1}`)
		require.NoError(t, l.PersistInputState(ctx, id, input))
		for grown := range 3 {
			_, err := l.CommitSessionBoundary(ctx, id, store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: snapshotOf(10 * (grown + 1))}, RunID: run, Boundary: store.RunCheckpoint,
				ContributingInputIDs: []store.InputID{input.InputID}, InputUpdates: []store.InputState{input},
			})
			require.NoError(t, err)
		}
		require.NoError(t, l.PersistRuntimeState(ctx, id, store.RuntimeIdle))
		if n%4 == 0 {
			_, err := l.DeleteRuntime(ctx, id)
			require.NoError(t, err)
		}
	}
	all := exported(t, l)
	require.NoError(t, l.Close())
	return all
}

// A flipped bit never gives another answer, in the log or in the pages: the store is not
// opened, or holds what it held.
func TestLoopOnADamagedDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	fillLoop(t, path)
	l := openLoop(t, path)
	require.NoError(t, l.Compact(t.Context()))
	require.NoError(t, l.PersistRuntimeState(t.Context(), "in the log", store.RuntimeIdle))
	want := exported(t, l)
	require.NoError(t, l.Close())
	require.NoError(t, openLoop(t, path).Close()) // so that the last frame is none that anybody was told of
	whole := readDir(t, path)
	r := rand.New(rand.NewPCG(7, 7))
	refused, places := 0, 100
	if testing.Short() {
		places = 20
	}
	try := func(damaged directory, what string) {
		copied := filepath.Join(t.TempDir(), "damaged")
		require.NoError(t, damaged.write(copied))
		l, err := loopstore.Open(t.Context(), disk.New(copied, disk.Options{}), "p0", loopstore.Options{})
		if err != nil {
			require.ErrorIs(t, err, journal.ErrCorrupt, what)
			refused++
			return
		}
		defer func() { require.NoError(t, l.Close()) }()
		require.Equal(t, want, exported(t, l), what)
	}
	for range places {
		at := r.IntN(8 * len(whole["pages"]))
		try(whole.flipped("pages", at), fmt.Sprintf("bit %d of the pages", at))
	}
	assert.Greater(t, refused, places/4)
	for range places / 10 {
		try(whole.with("pages", whole["pages"][:r.IntN(len(whole["pages"]))]), "cut off")
	}
}

// What is another's is told apart: a second holder, and a partition beside.
func TestLoopsOnOneDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	l := openLoop(t, path)
	_, err := loopstore.Open(t.Context(), disk.New(path, disk.Options{Timeout: -1}), "p0", loopstore.Options{})
	require.ErrorIs(t, err, journal.ErrInUse)
	require.ErrorContains(t, err, path)
	require.NoError(t, l.Close())

	engine := disk.New(path, disk.Options{})
	var loops []*loopstore.Loop
	for _, partition := range []string{"p0", "p1"} {
		l, err := loopstore.Open(t.Context(), engine, partition, loopstore.Options{})
		require.NoError(t, err)
		loops = append(loops, l)
		require.NoError(t, l.PersistRuntimeState(t.Context(), store.RuntimeID(partition), store.RuntimeIdle))
	}
	_, ok, err := loops[0].LoadRuntimeState(t.Context(), "p1")
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, errors.Join(loops[0].Close(), loops[1].Close()))
}

func TestLoopCompactsItsDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	fillLoop(t, path)
	l := openLoop(t, path)
	require.NoError(t, l.AtomicApply(t.Context(), "large", store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: make([]byte, 4<<20)}, Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart},
	}))
	require.NoError(t, l.Compact(t.Context()))
	_, err := l.DeleteRuntime(t.Context(), "large")
	require.NoError(t, err)
	want := exported(t, l)
	before, err := os.Stat(filepath.Join(path, "pages"))
	require.NoError(t, err)
	require.NoError(t, l.Compact(t.Context()))
	after, err := os.Stat(filepath.Join(path, "pages"))
	require.NoError(t, err)
	assert.Less(t, after.Size(), before.Size())
	require.Equal(t, want, exported(t, l))
	require.NoError(t, l.PersistRuntimeState(t.Context(), "more", store.RuntimeIdle))
	want = exported(t, l)
	require.NoError(t, l.Close())
	again := openLoop(t, path)
	require.Equal(t, want, exported(t, again))
	require.NoError(t, again.Close())
}
