package loopstore_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
)

// soFar returns the changes after a cursor that there are now.
func soFar(t *testing.T, l *loopstore.Loop, after state.ChangeCursor) []state.Change {
	t.Helper()
	found, err := loopstore.Do(t.Context(), l, ops.LoadChanges{After: after})
	require.NoError(t, err)
	return slices.Collect(found.All())
}

func brief(all []state.Change) (texts []string) {
	for _, c := range all {
		texts = append(texts, fmt.Sprintf("%s %d: %s", c.RuntimeID, c.Version, c.What))
	}
	return texts
}

func set(t *testing.T, l *loopstore.Loop, ids ...store.RuntimeID) {
	t.Helper()
	var writes []batch.Write
	for _, id := range ids {
		writes = append(writes, batch.PutRuntimeState{RuntimeID: id, State: store.RuntimeIdle})
	}
	_, err := l.Commit(t.Context(), batch.Batch{Then: writes})
	require.NoError(t, err)
}

func drop(t *testing.T, l *loopstore.Loop, id store.RuntimeID) {
	t.Helper()
	_, err := l.DeleteRuntime(t.Context(), id)
	require.NoError(t, err)
}

// TestFollowingFromACursor goes on from any place, also between two runtimes of one batch.
func TestFollowingFromACursor(t *testing.T) {
	onceAndAgain(t, loopstore.Options{}, func(t *testing.T, loop func() *loopstore.Loop) {
		if t.Name() == "TestFollowingFromACursor/exported_and_imported" {
			t.Skip("it is another store each time")
		}
		l := loop()
		start, err := l.ChangesCursor(t.Context())
		require.NoError(t, err)
		set(t, l, "a", "b", "c")
		set(t, l, "b")
		require.NoError(t, l.PersistInputState(t.Context(), "a", ready("1")))
		drop(t, l, "c")
		want := []string{"b 2: made, state", "a 3: made, state, inputs", "c 4: deleted"}
		all := soFar(t, l, start)
		require.Equal(t, want, brief(all))
		for again := range 2 {
			for i, c := range all {
				rest := brief(soFar(t, l, c.Cursor))
				if again == 0 {
					assert.Equal(t, want[i+1:], append([]string{}, rest...))
				} else { // it may not be known exactly any more
					assert.Len(t, rest, len(want)-i-1)
				}
			}
			l = loop()
		}
		set(t, l, "d", "e")
		all = soFar(t, l, all[2].Cursor)
		assert.Equal(t, []store.RuntimeID{"d", "e"}, []store.RuntimeID{all[0].RuntimeID, all[1].RuntimeID})
		set(t, l, "c")
		drop(t, l, "d")
		var rest []string
		for _, c := range soFar(t, l, all[0].Cursor) {
			rest = append(rest, fmt.Sprint(c.RuntimeID, " ", c.Version, " ", c.What.Has(state.RuntimeMade), " ", c.What.Has(state.RuntimeDeleted)))
		}
		assert.Equal(t, []string{"e 5 true false", "c 6 true false", "d 7 false true"}, rest, "c is there again")
	})
}

// TestFollowingNeverMissesTheLast has a follower that is slower than the writers.
func TestFollowingNeverMissesTheLast(t *testing.T) {
	l := loopstore.New(loopstore.Options{Deletions: 200})
	defer l.Close()
	const last = 5000
	go func() {
		for n := range last {
			id := store.RuntimeID(fmt.Sprint("agent-", n%100))
			if n%7 == 0 {
				_, _ = l.DeleteRuntime(t.Context(), id)
			} else {
				_ = l.PersistRuntimeState(t.Context(), id, store.RuntimeIdle)
			}
		}
		_ = l.PersistRuntimeState(t.Context(), "the last", store.RuntimeIdle)
	}()
	known := map[store.RuntimeID]uint64{}
	before := uint64(0)
	for c, err := range l.Changes(t.Context(), "") {
		require.NoError(t, err)
		assert.GreaterOrEqual(t, c.Version, before)
		before, known[c.RuntimeID] = c.Version, c.Version
		if c.What.Has(state.RuntimeDeleted) {
			delete(known, c.RuntimeID)
		}
		if c.RuntimeID == "the last" {
			break
		}
	}
	there := map[store.RuntimeID]uint64{}
	for s, err := range l.Runtimes(t.Context(), state.Listing{}) {
		require.NoError(t, err)
		there[s.RuntimeID] = s.Version
	}
	assert.Equal(t, there, known)
}

// TestFollowingCursorsThatExpire refuses cursors that would skip something.
func TestFollowingCursorsThatExpire(t *testing.T) {
	l := loopstore.New(loopstore.Options{Deletions: 2})
	defer l.Close()
	set(t, l, "a", "b", "c", "d")
	cursor, err := l.ChangesCursor(t.Context())
	require.NoError(t, err)
	first := func(l *loopstore.Loop, cursor state.ChangeCursor) (err error) {
		for _, err = range l.Changes(t.Context(), cursor) {
			break
		}
		return err
	}
	drop(t, l, "a")
	drop(t, l, "b")
	drop(t, l, "c")
	require.NoError(t, first(l, cursor), "all of it is recent")
	for range 3000 {
		set(t, l, "d")
	}
	require.ErrorIs(t, first(l, cursor), store.ErrCursorExpired)
	other := loopstore.New(loopstore.Options{})
	defer other.Close()
	set(t, other, "a")
	require.NoError(t, first(other, ""))
	now, err := l.ChangesCursor(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, first(other, now), store.ErrCursorExpired)
	for _, wrong := range []state.ChangeCursor{"?", "AAAA", now + "A", now + "\n", now[:4], "AAAAAAAAAAAAAA"} {
		require.ErrorIs(t, first(l, wrong), store.ErrInvalidValue, wrong)
	}
}

// TestFollowingWhatIsStored shows nothing that a journal has rejected.
func TestFollowingWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := journaltest.NewFaulty(journaltest.NewEngine())
		reject := false
		faulty.Script(func(int, journal.Batch) (f journaltest.Fault) {
			if reject {
				f = journaltest.Reject()
			}
			return f
		})
		l, err := loopstore.Open(t.Context(), faulty, "p", loopstore.Options{})
		require.NoError(t, err)
		defer l.Close()
		set(t, l, "a")
		seen := make(chan state.Change)
		go func() {
			defer close(seen)
			for c, err := range l.Changes(t.Context(), "") {
				if err != nil {
					return
				}
				seen <- c
			}
		}()
		assert.Equal(t, store.RuntimeID("a"), (<-seen).RuntimeID)
		reject = true
		require.ErrorIs(t, l.PersistRuntimeState(t.Context(), "b", store.RuntimeIdle), journal.ErrRejected)
		_, err = l.DeleteRuntime(t.Context(), "a")
		require.ErrorIs(t, err, journal.ErrRejected)
		reject = false
		set(t, l, "c")
		assert.Equal(t, store.RuntimeID("c"), (<-seen).RuntimeID)
		require.NoError(t, l.Close())
		assert.Empty(t, seen)
	})
}

// TestFollowersLearnOfAnImport has one wait at a store that holds nothing, until all comes at
// once: no write has to come after it.
func TestFollowersLearnOfAnImport(t *testing.T) {
	var file bytes.Buffer
	from := loopstore.New(loopstore.Options{Queue: queue})
	set(t, from, "a", "b")
	require.NoError(t, from.Export(t.Context(), &file))
	require.NoError(t, from.Close())
	queuing(t, func(t *testing.T, l *loopstore.Loop) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		seen := make(chan store.RuntimeID, 2)
		go func() {
			for c, err := range l.Changes(ctx, "") {
				if err != nil {
					return
				}
				seen <- c.RuntimeID
			}
		}()
		synctest.Wait()
		_, err := l.Import(t.Context(), bytes.NewReader(file.Bytes()))
		require.NoError(t, err)
		synctest.Wait()
		assert.Len(t, seen, 2)
	})
}
