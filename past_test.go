package loopstore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

// versionsOf is what a view shows of a session's versions: numbers and texts.
func versionsOf(v *state.View) map[uint64]string {
	texts := make(map[uint64]string)
	for version := range v.Sessions() {
		texts[version.Number] = version.Snapshot.String()
	}
	return texts
}

func appendLine(t *testing.T, loop *loopstore.Loop, id store.RuntimeID, line string) store.RunBoundaryReceipt {
	t.Helper()
	receipt, err := loop.CommitSessionBoundary(t.Context(), id, store.BoundaryCommit{
		Session:  store.SessionDelta{SessionSnapshot: []byte(line + "\n"), Format: store.FormatLines, Append: true},
		Boundary: store.RunStart,
	})
	require.NoError(t, err)
	return receipt
}

func TestThePastNeverChanges(t *testing.T) {
	engine := journaltest.NewEngine()
	opts := loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 4}}}
	loop := storetest.Open(t, engine, "p", opts)
	for n := range 3 {
		appendLine(t, loop, "a", fmt.Sprint(n+1))
	}
	require.NoError(t, loop.Fork(t.Context(), "a", 2, "b"))
	appendLine(t, loop, "b", `"in b"`)
	_, err := loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.RestoreSession{RuntimeID: "a", Number: 1}}})
	require.NoError(t, err)
	appendLine(t, loop, "a", `"again"`)

	want := map[store.RuntimeID]map[uint64]string{
		"a": {2: "1\n2\n", 3: "1\n2\n3\n", 4: "1\n", 5: "1\n\"again\"\n"}, // the first has gone
		"b": {1: "1\n2\n", 2: "1\n2\n\"in b\"\n"},
	}
	check := func(loop *loopstore.Loop) {
		for id, texts := range want {
			view, err := loop.View(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, texts, versionsOf(view))
			for number, text := range texts {
				at, ok, err := loop.LoadSessionAt(t.Context(), id, number)
				require.NoError(t, err)
				assert.True(t, ok)
				assert.Equal(t, text, at.String())
			}
		}
		view, err := loop.View(t.Context(), "a")
		require.NoError(t, err)
		number, ok := view.BoundaryVersion(store.RunID{}, 2)
		assert.True(t, ok)
		assert.EqualValues(t, 3, number)
		view, err = loop.View(t.Context(), "b")
		require.NoError(t, err)
		origin, ok := view.Origin()
		assert.True(t, ok)
		assert.Equal(t, state.Origin{RuntimeID: "a", Number: 2}, origin)
		_, ok, err = loop.LoadSessionAt(t.Context(), "a", 1)
		require.NoError(t, err)
		assert.False(t, ok)
	}
	check(loop)
	require.NoError(t, loop.Close())
	loop = storetest.Open(t, engine, "p", opts)
	check(loop)

	_, err = loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.RestoreSession{RuntimeID: "a", Number: 1}}})
	require.ErrorIs(t, err, store.ErrNoVersion)
	require.ErrorIs(t, loop.Fork(t.Context(), "a", 6, "c"), store.ErrNoVersion)
	err = loop.Fork(t.Context(), "a", 5, "b")
	require.ErrorIs(t, err, store.ErrConflict)
	require.ErrorContains(t, err, `conflict: runtime "b": want no runtime, but there is version `)
	require.ErrorIs(t, loop.Fork(t.Context(), "a", 5, "\xff"), store.ErrInvalidValue)
	check(loop)

	require.NoError(t, loop.Fork(t.Context(), "b", 1, "c"))
	_, err = loop.DeleteRuntime(t.Context(), "b")
	require.NoError(t, err)
	_, err = loop.DeleteRuntime(t.Context(), "a")
	require.NoError(t, err)
	at, ok, err := loop.LoadSessionAt(t.Context(), "c", 1)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "1\n2\n", at.String())
	assert.Equal(t, "1", fmt.Sprint(appendLine(t, loop, "a", `"new"`).MessageCount), "nothing of the one before")
	view, err := loop.View(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, map[uint64]string{1: "\"new\"\n"}, versionsOf(view))
}

// A Retention that says nothing of sessions, or nonsense, keeps no earlier version.
func TestThePastIsKeptOnRequest(t *testing.T) {
	for _, keep := range []store.Keep{{}, {Last: -1}, {For: -1}, {Last: 1}} {
		loop := storetest.New(t, loopstore.Options{Retention: store.Retention{Runs: 5, Sessions: keep}})
		appendLine(t, loop, "a", "1")
		appendLine(t, loop, "a", "2")
		view, err := loop.View(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, map[uint64]string{2: "1\n2\n"}, versionsOf(view), "%+v", keep)
		version, ok := view.Session()
		assert.True(t, ok)
		assert.EqualValues(t, 2, version.Number)
	}
}

// What versions have in common counts once, is journaled once, and goes with the last
// of them.
func TestThePastIsShared(t *testing.T) {
	const versions = 100
	loop := storetest.Open(t, journaltest.NewEngine(), "p", loopstore.Options{
		Retention: store.Retention{Sessions: store.Keep{Last: 2 * versions}},
	})
	commit := func(text []byte, more bool) {
		_, err := loop.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
			Session:  store.SessionDelta{SessionSnapshot: text, Format: store.FormatOpaque, Append: more},
			Boundary: store.RunStart,
		})
		require.NoError(t, err)
	}
	text := make([]byte, 1<<20, 1<<20+versions<<10)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(text)
	commit(text, false)
	for n := range versions {
		more := text[len(text) : len(text)+1<<10]
		_, _ = random.Read(more)
		text = text[:len(text)+1<<10]
		if n%2 == 0 {
			commit(more, true)
		} else {
			commit(text, false)
		}
	}
	held := loop.Stats().Held
	assert.Equal(t, versions, held.Versions)
	assert.Less(t, held.SnapshotBytes, int64(3<<20))
	assert.Less(t, loop.Stats().Journal.Bytes, uint64(3<<20))

	require.NoError(t, loop.Fork(t.Context(), "a", 1, "b"))
	require.NoError(t, loop.Fork(t.Context(), "a", versions+1, "c"))
	assert.Less(t, loop.Stats().Held.SnapshotBytes-held.SnapshotBytes, int64(2<<10))
	_, err := loop.DeleteRuntime(t.Context(), "a")
	require.NoError(t, err)
	_, err = loop.DeleteRuntime(t.Context(), "c")
	require.NoError(t, err)
	assert.Less(t, loop.Stats().Held.SnapshotBytes, int64(1<<20+64<<10), "all of the first version, and nothing else")
	_, err = loop.DeleteRuntime(t.Context(), "b")
	require.NoError(t, err)
	assert.Zero(t, loop.Stats().Held)
}
