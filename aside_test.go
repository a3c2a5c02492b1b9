package loopstore

import (
	"bytes"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
)

// A runtime that is damaged in the journal gets no answer, and all others are served.
func TestSetAside(t *testing.T) {
	engine := journaltest.NewEngine()
	l := openLoop(t, engine, Options{})
	fill(t, l)
	require.NoError(t, l.PersistRuntimeState(t.Context(), "whole", store.RuntimeIdle))
	require.NoError(t, l.Close())
	standing := engine.Standing("p")
	harmed := 0
	for i, c := range standing {
		if len(c.Key) == 18 && c.Key[0] == 1 && bytes.Contains(c.Value, []byte(`{ "b" : 1 }`)) { // the input of "a"
			standing[i].Value[3] ^= 1
			harmed++
		}
	}
	require.Equal(t, 1, harmed)
	damaged := holding(t, standing)
	damaged.Limits = journal.Limits{}

	_, err := Open(t.Context(), damaged, "p", Options{})
	require.ErrorIs(t, err, journal.ErrCorrupt)
	var log bytes.Buffer
	opts := Options{SetAside: true, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for range 2 {
		l = openLoop(t, damaged, opts)
		require.Len(t, l.Asides(), 1)
		require.Equal(t, store.RuntimeID("a"), l.Asides()[0].RuntimeID)
		assert.Contains(t, log.String(), `level=ERROR msg="a runtime is damaged and set aside" partition=p runtime_id=a reason="at key`)

		refused := func(err error) {
			t.Helper()
			require.ErrorIs(t, err, journal.ErrCorrupt)
			aside := new(state.AsideError)
			require.ErrorAs(t, err, &aside)
			require.Equal(t, store.RuntimeID("a"), aside.RuntimeID)
		}
		_, err = l.View(t.Context(), "a")
		refused(err)
		_, err = l.Reader("a").View(t.Context())
		refused(err)
		for _, err := range l.Watch(t.Context(), "a", 0) {
			refused(err)
		}
		refused(l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
		_, err = l.DeleteRuntime(t.Context(), "a")
		refused(err)
		refused(l.Export(t.Context(), io.Discard))
		refused(l.Compact(t.Context()))

		require.NoError(t, l.PersistRuntimeState(t.Context(), "whole", store.RuntimeRetired))
		_, err = l.CommitSessionBoundary(t.Context(), "b", commitOf(store.NewRunID()))
		require.NoError(t, err)
		page, err := Do(t.Context(), l, ops.ListRuntimes{})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
		require.NoError(t, l.Close())
	}

	l = openLoop(t, engine, opts)
	require.Empty(t, l.Asides(), "what is whole")
	require.Empty(t, newLoop(t, opts).Asides(), "without a journal")
}
