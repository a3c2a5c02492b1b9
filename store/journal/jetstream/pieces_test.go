package jetstream_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/journalbench"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/storetest"
)

// An import, a deletion and a prune in pieces keep the promises of small ones.
func TestLoopInPieces(t *testing.T) {
	conn := elsewhere(t)
	type opened struct {
		engine journal.Engine
		opts   loopstore.Options
	}
	all := map[store.RuntimeStore]opened{}
	open := func(t testing.TB, o opened) store.RuntimeStore {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		l, err := loopstore.Open(ctx, o.engine, "p", o.opts)
		require.NoError(t, err)
		all[l] = o
		return l
	}
	limited := func(t testing.TB) journal.Engine {
		return journaltest.Limited(newEngine(t, conn, jetstream.Options{}), journal.Limits{BatchBytes: 64 << 10})
	}
	storetest.Run(t, storetest.Factory{
		Open:   func(t testing.TB) store.RuntimeStore { return open(t, opened{engine: limited(t)}) },
		Reopen: func(t testing.TB, s store.RuntimeStore) store.RuntimeStore { return open(t, all[s]) },
		OpenWith: func(t testing.TB, opts loopstore.Options) store.RuntimeStore {
			return open(t, opened{limited(t), opts})
		},
		Chapters: []string{"pieces"},
		Timeout:  3 * time.Minute,
	})
}

func TestLargeImport(t *testing.T) {
	mb := journalbench.Large(t)
	journalbench.Import(t, mb, newEngine(t, elsewhere(t), jetstream.Options{}))
}
