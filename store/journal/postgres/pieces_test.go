package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/journalbench"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/storetest"
)

// An import, a deletion and a prune in pieces keep the promises of small ones.
func TestLoopInPieces(t *testing.T) {
	engine := journaltest.Limited(postgres.New(poolOf(t), fresh()), journal.Limits{BatchBytes: 64 << 10})
	type opened struct {
		partition string
		opts      loopstore.Options
	}
	all := map[store.RuntimeStore]opened{}
	open := func(t testing.TB, o opened) store.RuntimeStore {
		l, err := loopstore.Open(context.WithoutCancel(t.Context()), engine, o.partition, o.opts)
		require.NoError(t, err)
		all[l] = o
		return l
	}
	storetest.Run(t, storetest.Factory{
		Open:   func(t testing.TB) store.RuntimeStore { return open(t, opened{partition: fmt.Sprint(len(all))}) },
		Reopen: func(t testing.TB, s store.RuntimeStore) store.RuntimeStore { return open(t, all[s]) },
		OpenWith: func(t testing.TB, opts loopstore.Options) store.RuntimeStore {
			return open(t, opened{fmt.Sprint(len(all)), opts})
		},
		Chapters: []string{"pieces"},
		Timeout:  3 * time.Minute,
	})
}

func TestLargeImport(t *testing.T) {
	mb, opts := journalbench.Large(t), fresh()
	opts.Timeout = time.Minute
	journalbench.Import(t, mb, postgres.New(poolOf(t), opts))
}
