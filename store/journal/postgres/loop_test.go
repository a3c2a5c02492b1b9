package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/storetest"
)

func openLoop(t testing.TB, engine journal.Engine, partition string) *loopstore.Loop {
	t.Helper()
	return openLoopWith(t, engine, partition, loopstore.Options{})
}

func openLoopWith(t testing.TB, engine journal.Engine, partition string, opts loopstore.Options) *loopstore.Loop {
	t.Helper()
	l, err := loopstore.Open(context.WithoutCancel(t.Context()), engine, partition, opts)
	require.NoError(t, err)
	return l
}

// A loop on a database keeps every promise of a store, and those of reopening.
func TestLoopOnADatabase(t *testing.T) {
	engine := postgres.New(poolOf(t), fresh())
	type opened struct {
		partition string
		opts      loopstore.Options
	}
	all := map[store.RuntimeStore]opened{}
	open := func(t testing.TB, o opened) store.RuntimeStore {
		l := openLoopWith(t, engine, o.partition, o.opts)
		all[l] = o
		return l
	}
	next := func(opts loopstore.Options) opened { return opened{fmt.Sprint(len(all)), opts} }
	storetest.Run(t, storetest.Factory{
		Open:     func(t testing.TB) store.RuntimeStore { return open(t, next(loopstore.Options{})) },
		Reopen:   func(t testing.TB, s store.RuntimeStore) store.RuntimeStore { return open(t, all[s]) },
		OpenWith: func(t testing.TB, opts loopstore.Options) store.RuntimeStore { return open(t, next(opts)) },
	})
}

// exported is all that a loop holds.
func exported(t testing.TB, l *loopstore.Loop) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, l.Export(t.Context(), &b))
	return b.String()
}

// A loop that another one has taken the partition from acknowledges nothing more,
// and the other one has all that it had acknowledged.
func TestASecondLoopTakesOver(t *testing.T) {
	engine := postgres.New(poolOf(t), fresh())
	first := openLoop(t, engine, "p")
	for n := range 20 {
		require.NoError(t, first.PersistRuntimeState(t.Context(), store.RuntimeID(fmt.Sprint(n)), store.RuntimeIdle))
	}
	want := exported(t, first)
	second := openLoop(t, engine, "p")
	err := first.PersistRuntimeState(t.Context(), "late", store.RuntimeIdle)
	require.ErrorIs(t, err, journal.ErrFenced)
	assert.NotErrorIs(t, err, store.ErrOutcomeUnknown)
	require.Equal(t, want, exported(t, second))
	require.ErrorIs(t, first.Close(), journal.ErrFenced)
	require.NoError(t, second.PersistRuntimeState(t.Context(), "late", store.RuntimeIdle))
	require.NoError(t, second.Close())
}
