package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
	"github.com/loopstore/loopstore/store/measure"
)

// connections is how many a client without the loop has, for any number of
// callers.
const connections = 64

// durable runs a server that syncs, and makes a pool. Who does without the loop
// has the plans that the engine has.
func durable(b *testing.B) *pgxpool.Pool {
	return poolAt(b, postgrestest.Start(b).URL()+fmt.Sprint(" pool_max_conns=", connections)+
		" options='-c enable_seqscan=off -c plan_cache_mode=force_generic_plan'")
}

// A spy remembers the changes of each batch.
type spy struct {
	journal.Engine
	journal.Journal
	changes [][]journal.Change
}

func (s *spy) Open(ctx context.Context, partition string, emit func(journal.Change) error) (_ journal.Journal, err error) {
	s.Journal, err = s.Engine.Open(ctx, partition, emit)
	return s, err
}

func (s *spy) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	s.changes = append(s.changes, b.Changes)
	return s.Journal.Append(ctx, b)
}

// changesOf returns what a loop journals of each call.
func changesOf(b *testing.B, calls int, call func(s store.RuntimeStore, n int)) [][]journal.Change {
	s := &spy{Engine: journaltest.NewEngine()}
	l := openLoop(b, s, "")
	for n := range calls {
		call(l, n)
	}
	require.NoError(b, l.Close())
	require.Len(b, s.changes, calls)
	return s.changes
}

// raw returns what writes changes as records, in one transaction and nothing
// else.
func raw(b *testing.B, pool *pgxpool.Pool) func([]journal.Change) {
	_, err := pool.Exec(b.Context(), `create table raw (key bytea primary key, value bytea not null)`)
	require.NoError(b, err)
	return func(changes []journal.Change) {
		gone, keys, values := [][]byte{}, [][]byte{}, [][]byte{}
		for _, c := range changes {
			if c.Delete {
				gone = append(gone, c.Key)
				continue
			}
			keys, values = append(keys, c.Key), append(values, c.Value)
		}
		_, err := pool.Exec(b.Context(), `with gone as (delete from raw where key = any($1))
			insert into raw select * from unnest($2::bytea[], $3::bytea[])
			on conflict (key) do update set value = excluded.value`, gone, keys, values)
		if err != nil {
			b.Error(err)
		}
	}
}

// spread has callers call until b.N calls are done, and reports how long they
// took. Before that each calls once, so that all connections are there.
func spread(b *testing.B, callers int, call func(caller int)) {
	took := make([][]time.Duration, callers)
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() { call(caller) })
	}
	wg.Wait()
	b.ResetTimer()
	for caller := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				began := time.Now()
				call(caller)
				took[caller] = append(took[caller], time.Since(began))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

func inputOfCaller(b *testing.B, s store.RuntimeStore, caller int) {
	input := store.NewInputState(store.InputID{1}, store.Time{})
	if err := s.PersistInputState(b.Context(), store.RuntimeID(fmt.Sprint(caller)), input); err != nil {
		b.Error(err)
	}
}

// BenchmarkInputs stores an input of each caller's own runtime, by a loop and
// without.
func BenchmarkInputs(b *testing.B) {
	for _, callers := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("store=loop/callers=%d", callers), func(b *testing.B) {
			l, err := loopstore.Open(b.Context(), loopstore.Options{Journal: postgres.New(durable(b), fresh()), InboxSize: 1024})
			require.NoError(b, err)
			spread(b, callers, func(caller int) { inputOfCaller(b, l, caller) })
			b.ReportMetric(float64(b.N+callers)/float64(l.Stats().Journal.Appends), "ops/append")
			require.NoError(b, l.Close())
		})
		b.Run(fmt.Sprintf("store=raw/callers=%d", callers), func(b *testing.B) {
			write := raw(b, durable(b))
			changes := changesOf(b, callers, func(s store.RuntimeStore, n int) { inputOfCaller(b, s, n) })
			spread(b, callers, func(caller int) { write(changes[caller]) })
		})
	}
}

// BenchmarkSessions commits one of two sessions that have nothing in common, in
// turn.
func BenchmarkSessions(b *testing.B) {
	for _, size := range []int{100_000, 1_000_000} {
		one := string(measure.Session(size))
		sessions := []string{one, strings.ReplaceAll(one, "some", "Some")}
		commit := func(s store.RuntimeStore, n int) {
			_, err := s.CommitSessionBoundary(b.Context(), "a", store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: []byte(sessions[n%2])}, Boundary: store.RunCheckpoint,
			})
			require.NoError(b, err)
		}
		b.Run(fmt.Sprintf("store=loop/bytes=%d", size), func(b *testing.B) {
			l := openLoop(b, postgres.New(durable(b), fresh()), "")
			n := 0
			spread(b, 1, func(int) { commit(l, n); n++ })
			require.NoError(b, l.Close())
		})
		b.Run(fmt.Sprintf("store=raw/bytes=%d", size), func(b *testing.B) {
			write := raw(b, durable(b))
			changes := changesOf(b, 4, commit)
			n := 0
			spread(b, 1, func(int) { write(changes[2+n%2]); n++ })
		})
	}
}

// BenchmarkAppend appends batches with no loop in front.
func BenchmarkAppend(b *testing.B) {
	for _, load := range []struct{ changes, bytes int }{{1, 300}, {64, 300}, {1, 1 << 20}, {1, 64 << 20}} {
		b.Run(fmt.Sprintf("changes=%d/bytes=%d", load.changes, load.bytes), func(b *testing.B) {
			j := open(b, postgres.New(durable(b), fresh()), "p", contents{})
			value := strings.Repeat("0123456789abcdef", load.bytes/16+1)[:load.bytes]
			b.SetBytes(int64(load.changes * load.bytes))
			n := 0
			spread(b, 1, func(int) {
				var changes []journal.Change
				for range load.changes {
					changes = append(changes, put(fmt.Sprint("key ", n%10_000), value))
					n++
				}
				appendTo(b, j, changes...)
			})
		})
	}
}

// BenchmarkOpen opens a partition of a million records of 200 bytes.
func BenchmarkOpen(b *testing.B) {
	const records = 1_000_000
	e := postgres.New(durable(b), fresh())
	j := open(b, e, "p", contents{})
	value := strings.Repeat("v", 200)
	began := time.Now()
	for from := 0; from < records; from += 10_000 {
		var changes []journal.Change
		for i := range 10_000 {
			changes = append(changes, put(fmt.Sprint((from+i)*7919%records), value))
		}
		appendTo(b, j, changes...)
	}
	b.Logf("filled in %v", time.Since(began))
	for b.Loop() {
		n := 0
		_, err := e.Open(b.Context(), "p", func(journal.Change) error { n++; return nil })
		require.NoError(b, err)
		require.Equal(b, records, n)
	}
}
