package jetstream_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/storetest"
)

// openLoop opens a store on a partition.
func openLoop(t testing.TB, e journal.Engine, partition string) *loopstore.Loop {
	t.Helper()
	return openLoopWith(t, e, partition, loopstore.Options{})
}

func openLoopWith(t testing.TB, e journal.Engine, partition string, opts loopstore.Options) *loopstore.Loop {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	defer cancel()
	l, err := loopstore.Open(ctx, e, partition, opts)
	require.NoError(t, err)
	return l
}

// A loop on streams keeps every promise of a store, and those of reopening.
func TestLoopKeepsThePromisesOfAStore(t *testing.T) {
	conn := elsewhere(t)
	type opened struct {
		engine *jetstream.Engine
		opts   loopstore.Options
	}
	all := map[store.RuntimeStore]opened{}
	open := func(t testing.TB, o opened) store.RuntimeStore {
		l := openLoopWith(t, o.engine, "p", o.opts)
		all[l] = o
		return l
	}
	next := func(t testing.TB, opts loopstore.Options) opened {
		return opened{newEngine(t, conn, jetstream.Options{}), opts}
	}
	storetest.Run(t, storetest.Factory{
		Open:     func(t testing.TB) store.RuntimeStore { return open(t, next(t, loopstore.Options{})) },
		Reopen:   func(t testing.TB, s store.RuntimeStore) store.RuntimeStore { return open(t, all[s]) },
		OpenWith: func(t testing.TB, opts loopstore.Options) store.RuntimeStore { return open(t, next(t, opts)) },
	})
}

// A session of 64 MiB is committed whole, and grown.
func TestLargeSession(t *testing.T) {
	if testing.Short() {
		t.Skip("it is 64 MiB")
	}
	e := newEngine(t, shared, jetstream.Options{})
	l := openLoop(t, e, "p")
	snapshot := []byte(strings.Repeat("session ", 8<<20))
	apply := func(sequence uint64) {
		require.NoError(t, l.AtomicApply(t.Context(), "large", store.BoundaryApply{
			Session: &store.SessionDelta{SessionSnapshot: snapshot}, Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart, Sequence: sequence},
		}))
	}
	apply(0)
	snapshot = append(snapshot, "and more"...)
	apply(1)
	require.NoError(t, l.Close())
	l = openLoop(t, e, "p")
	defer func() { require.NoError(t, l.Close()) }()
	got, ok, err := l.LoadSessionSnapshot(t.Context(), "large")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, len(snapshot), len(got))
	require.True(t, string(snapshot) == string(got))
}

// A load is goroutines that commit until they are told to stop, each in a runtime
// of its own, and an entry of what they were told.
type load struct {
	ledgers []*storetest.Ledger
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

// startLoad starts goroutines that commit to the store that current returns. After
// an error they wait a moment.
func startLoad(t testing.TB, ledgers []*storetest.Ledger, current func() store.RuntimeStore) *load {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &load{ledgers: ledgers, stop: stop}
	for _, ledger := range ledgers {
		l.wg.Go(func() {
			for ctx.Err() == nil {
				if err := ledger.Commit(context.WithoutCancel(ctx), current()); err != nil {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	return l
}

func newLedgers(n int) (all []*storetest.Ledger) {
	for i := range n {
		all = append(all, storetest.NewLedger(store.RuntimeID(string(rune('a'+i)))))
	}
	return all
}

func (l *load) end() {
	l.stop()
	l.wg.Wait()
}

// tallies are those of all.
func (l *load) tallies() (sum storetest.Tallies) {
	for _, ledger := range l.ledgers {
		t := ledger.Tallies()
		sum.Acknowledged += t.Acknowledged
		sum.Refused += t.Refused
		sum.Unknown += t.Unknown
	}
	return sum
}

// acknowledged waits until so many more commits are acknowledged.
func (l *load) acknowledged(t testing.TB, more int) {
	t.Helper()
	want := l.tallies().Acknowledged + more
	require.Eventually(t, func() bool { return l.tallies().Acknowledged >= want }, time.Minute, time.Millisecond, "nothing goes on")
}

// check compares the entry with what a new holder finds.
func (l *load) check(t testing.TB, e journal.Engine, partition string) {
	t.Helper()
	successor := openLoop(t, e, partition)
	for _, ledger := range l.ledgers {
		require.NoError(t, ledger.Check(t.Context(), successor))
	}
	require.NoError(t, successor.Close())
}

// The holder is thought dead, and is not: its appends are refused from the moment
// of the take-over, and its callers are told.
func TestReplacedOwnerIsRefused(t *testing.T) {
	o := jetstream.Options{Prefix: newPrefix()}
	first := openLoop(t, newEngine(t, shared, o), "p")
	load := startLoad(t, newLedgers(4), func() store.RuntimeStore { return first })
	load.acknowledged(t, 100)
	second := openLoop(t, newEngine(t, shared, o), "p")
	require.NoError(t, second.PersistRuntimeState(t.Context(), "new", store.RuntimeIdle))
	err := first.PersistRuntimeState(t.Context(), "old", store.RuntimeIdle)
	require.ErrorIs(t, err, journal.ErrFenced)
	require.NotErrorIs(t, err, store.ErrOutcomeUnknown)
	var failed *store.JournalError
	require.ErrorAs(t, err, &failed)
	require.Eventually(t, func() bool { return load.tallies().Refused > 0 }, time.Minute, time.Millisecond)
	load.end()
	_, ok, err := second.LoadRuntimeState(t.Context(), "old")
	require.NoError(t, err)
	require.False(t, ok)
	_ = first.Close()
	require.NoError(t, second.Close())
	assert.Zero(t, load.tallies().Unknown, "a refused append is no unknown one")
	load.check(t, newEngine(t, shared, o), "p")
}

// An idle holder hears of its successor without an append of its own.
func TestIdleOwnerHearsOfItsSuccessor(t *testing.T) {
	o := jetstream.Options{Prefix: newPrefix()}
	j, err := newEngine(t, shared, o).Open(t.Context(), "p", func(journal.Change) error { return nil })
	require.NoError(t, err)
	other, err := newEngine(t, shared, o).Open(t.Context(), "p", func(journal.Change) error { return nil })
	require.NoError(t, err)
	<-j.Fenced()
	select {
	case <-other.Fenced():
		t.Fatal("the later holder took the announcement for another's")
	default:
	}
	require.NoError(t, errors.Join(j.Close(t.Context()), other.Close(t.Context())))
}

// A holder that appends without a pause is first with every entry, and lets go all
// the same.
func TestBusyOwnerIsReplaced(t *testing.T) {
	o := jetstream.Options{Prefix: newPrefix()}
	var appending sync.WaitGroup
	for n := range 10 {
		j := openJournal(t, newEngine(t, shared, o))
		appending.Go(func() {
			for i := 0; ; i++ {
				if _, err := j.Append(t.Context(), batchOf(1000*n+i, change("k", "v"))); err != nil {
					assert.ErrorIs(t, err, journal.ErrFenced)
					return
				}
			}
		})
	}
	last := openJournal(t, newEngine(t, shared, o))
	appending.Wait()
	_, err := last.Append(t.Context(), batchOf(1, change("k", "v")))
	require.NoError(t, err)
}
