package loopstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
)

func large(name string, bytesOf int) store.InputState {
	input := ready(name)
	input.PersistedInput = []byte(`"` + strings.Repeat("x", bytesOf) + `"`)
	return input
}

// TestClaimsOfAnotherRound has a claim wait for a round that has room for it, while somebody
// reads: it is dated when it was made.
func TestClaimsOfAnotherRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := journaltest.NewFaulty(journaltest.Limited(journaltest.NewEngine(), journal.Limits{BatchBytes: 10_000}))
		l, err := loopstore.Open(t.Context(), faulty, "p", loopstore.Options{Queue: queue})
		require.NoError(t, err)
		defer l.Close()
		claimed := make(chan store.Time, 1)
		go func() {
			c, err := l.ClaimNext(t.Context(), take)
			assert.NoError(t, err)
			claimed <- c.State.UpdatedAt
		}()
		synctest.Wait()
		time.Sleep(time.Hour)
		began := store.TimeOf(time.Now())
		release := make(chan struct{})
		faulty.Next(journaltest.Held(release))
		stored := make(chan error, 1)
		go func() { stored <- l.PersistInputState(t.Context(), "agent", large("a", 6000)) }()
		synctest.Wait()
		go func() { _, _ = l.LoadInputStates(t.Context(), "agent") }()
		synctest.Wait()
		close(release)
		require.NoError(t, <-stored)
		assert.Equal(t, began, <-claimed)
	})
}

// TestClaimsUnderFaults has workers that give up at any moment, and a journal that rejects any
// batch: no claim goes to one who has gone, or to two, and none waits while there is something.
func TestClaimsUnderFaults(t *testing.T) {
	const workers, runtimes, each = 20, 8, 12
	all := map[string]loopstore.Options{
		"plain":  {Queue: queue},
		"full":   {Queue: queue, InboxSize: 2, RefuseWhenFull: true},
		"narrow": {Queue: queue, InboxSize: 1, BytesInFlight: 3000},
	}
	for name, opts := range all {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := rand.New(rand.NewPCG(seed, 1))
					var quiet atomic.Bool
					faulty := journaltest.NewFaulty(journaltest.Limited(journaltest.NewEngine(), journal.Limits{BatchBytes: 12_000}))
					faulty.Script(func(int, journal.Batch) (f journaltest.Fault) {
						if !quiet.Load() && r.IntN(3) == 0 {
							f = journaltest.Reject()
						}
						took := time.Duration(r.IntN(5)) * time.Millisecond
						return f.Then(func(context.Context) { time.Sleep(took) })
					})
					l, err := loopstore.Open(t.Context(), faulty, "p", opts)
					require.NoError(t, err)
					defer l.Close()
					again := func(call func() error) {
						err := call()
						for errors.Is(err, journal.ErrRejected) || errors.Is(err, store.ErrBusy) {
							time.Sleep(time.Millisecond)
							err = call()
						}
						assert.NoError(t, err)
					}
					var turns [runtimes]atomic.Bool
					var done atomic.Int32
					stop, cancel := context.WithCancel(t.Context())
					var pool, producers sync.WaitGroup
					for w := range uint64(workers) {
						pool.Go(func() {
							r := rand.New(rand.NewPCG(seed, w))
							for stop.Err() == nil {
								ctx, end := context.WithTimeout(stop, time.Duration(r.IntN(20))*time.Millisecond)
								c, err := l.ClaimNext(ctx, take)
								end()
								if err != nil {
									if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrBusy) {
										assert.ErrorIs(t, err, journal.ErrRejected)
									}
									time.Sleep(time.Millisecond)
									continue
								}
								n := c.RuntimeID[0] - 'a'
								assert.True(t, turns[n].CompareAndSwap(false, true))
								time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
								turns[n].Store(false)
								again(func() error { _, err := l.Commit(t.Context(), consumed(t, c)); return err })
								done.Add(1)
							}
						})
					}
					for n := range runtimes {
						producers.Go(func() {
							for m := range each {
								again(func() error {
									return l.PersistInputState(t.Context(), store.RuntimeID('a'+rune(n)), large(fmt.Sprint(m), 500*(1+n%4)))
								})
							}
						})
					}
					producers.Wait()
					quiet.Store(true)
					time.Sleep(3 * time.Second)
					assert.EqualValues(t, runtimes*each, done.Load())
					cancel()
					pool.Wait()
					for s, err := range l.Runtimes(t.Context(), state.Listing{}) {
						require.NoError(t, err)
						assert.Equal(t, each, s.Ended, s.RuntimeID)
					}
				})
			})
		}
	}
}

// TestEndOfAStoreWithClaims ends a store in each way, while claims wait and one is being
// stored: every one of them is answered, with what ended it.
func TestEndOfAStoreWithClaims(t *testing.T) {
	unknown := errors.New("the disk is gone")
	for name, end := range map[string]struct {
		fault journaltest.Fault
		end   func(*loopstore.Loop, *journaltest.Faulty)
		under error // of the claim that is being stored
		wait  error // of those that wait
	}{
		"closed":  {end: func(l *loopstore.Loop, _ *journaltest.Faulty) { go l.Close() }, wait: store.ErrClosed},
		"fenced":  {end: func(_ *loopstore.Loop, f *journaltest.Faulty) { f.NoticeFence() }, wait: journal.ErrFenced},
		"refused": {fault: journaltest.Fault{Err: journal.ErrFenced}, under: journal.ErrFenced, wait: journal.ErrFenced},
		"unknown": {fault: journaltest.Fault{Err: unknown}, under: store.ErrOutcomeUnknown, wait: unknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				faulty := journaltest.NewFaulty(journaltest.NewEngine())
				l, err := loopstore.Open(t.Context(), faulty, "p", loopstore.Options{Queue: queue})
				require.NoError(t, err)
				defer l.Close()
				errs := make([]chan error, 30)
				for n := range errs {
					errs[n] = make(chan error, 1)
					go func() {
						_, err := l.ClaimNext(t.Context(), take)
						errs[n] <- err
					}()
					synctest.Wait()
				}
				release := make(chan struct{})
				end.fault.Before = journaltest.Held(release).Before
				faulty.Next(end.fault)
				stored := make(chan error, 1)
				go func() { stored <- l.PersistInputState(t.Context(), "agent", ready("a")) }()
				synctest.Wait()
				if end.end != nil {
					end.end(l, faulty)
				}
				synctest.Wait()
				close(release)
				require.ErrorIs(t, <-stored, end.under)
				require.ErrorIs(t, <-errs[0], end.under, "the first to wait")
				for _, err := range errs[1:] {
					require.ErrorIs(t, <-err, end.wait)
				}
			})
		})
	}
}

// TestWaitingClaimsAreNotSlow has claims wait for an hour, and be served, given up or refused.
func TestWaitingClaimsAreNotSlow(t *testing.T) {
	for _, journaled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var logged bytes.Buffer
			opts := loopstore.Options{Queue: queue, SlowThreshold: time.Second, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
			l := loopstore.New(opts)
			if journaled {
				require.NoError(t, l.Close())
				var err error
				l, err = loopstore.Open(t.Context(), journaltest.NewEngine(), "p", opts)
				require.NoError(t, err)
			}
			var pool sync.WaitGroup
			ctx, giveUp := context.WithCancel(t.Context())
			for range 3 {
				pool.Go(func() { _, _ = l.ClaimNext(ctx, take) })
				synctest.Wait()
			}
			pool.Go(func() { _, _ = l.ClaimNext(t.Context(), take) })
			time.Sleep(time.Hour)
			require.NoError(t, l.PersistInputState(t.Context(), "a", ready("1")))
			require.NoError(t, l.PersistInputState(t.Context(), "b", ready("1")))
			synctest.Wait()
			giveUp()
			time.Sleep(time.Hour)
			stats := l.Stats()
			assert.EqualValues(t, 2, stats.Operations[ops.KindClaimNext].Done)
			assert.Zero(t, stats.Wait)
			require.NoError(t, l.Close())
			pool.Wait()
			assert.NotContains(t, logged.String(), "slow")
		})
	}
}

// TestMemoryOfClaimsGivenUp has many more claims given up than wait, behind some that stay.
func TestMemoryOfClaimsGivenUp(t *testing.T) {
	queuing(t, func(t *testing.T, l *loopstore.Loop) {
		var pool sync.WaitGroup
		for range 3 {
			pool.Go(func() { _, _ = l.ClaimNext(t.Context(), take) })
		}
		measure := func() int {
			for range 20_000 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				_, err := l.ClaimNext(ctx, take)
				cancel()
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int(m.HeapAlloc)
		}
		first := measure()
		assert.Less(t, measure()-first, 2<<20, "each takes some hundred bytes")
		require.NoError(t, l.Close())
		pool.Wait()
	})
}

// TestClaimsThatAreLarge has a claim, which stores its input again, not go into a round that
// has no room for it: the journal would reject all of that.
func TestClaimsThatAreLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := journaltest.NewFaulty(journaltest.Limited(journaltest.NewEngine(), journal.Limits{BatchBytes: 10_000}))
		l, err := loopstore.Open(t.Context(), faulty, "p", loopstore.Options{Queue: queue})
		require.NoError(t, err)
		defer l.Close()
		require.NoError(t, l.PersistInputState(t.Context(), "a", ready("1")))
		require.NoError(t, l.PersistInputState(t.Context(), "a", large("2", 6000)))
		c, err := l.ClaimNext(t.Context(), take)
		require.NoError(t, err)
		release := make(chan struct{})
		faulty.Next(journaltest.Held(release))
		var calls sync.WaitGroup
		call := func(call func() error) {
			calls.Go(func() { assert.NoError(t, call()) })
			synctest.Wait()
		}
		call(func() error { return l.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle) })
		call(func() error { _, err := l.ClaimNext(t.Context(), take); return err })
		call(func() error { _, err := l.Commit(t.Context(), consumed(t, c)); return err })
		call(func() error {
			input := large("1", 4500)
			input.CurrentState = store.InputStaged
			return l.PersistInputState(t.Context(), "b", input)
		})
		close(release)
		calls.Wait()
		assert.Zero(t, faulty.Counts().Failed)
	})
}

// TestClaimsThatAreTooLarge has a journal that never takes one claim: the others go on.
func TestClaimsThatAreTooLarge(t *testing.T) {
	l, err := loopstore.Open(t.Context(), journaltest.Limited(journaltest.NewEngine(), journal.Limits{BatchBytes: 10_000}), "p", loopstore.Options{Queue: queue})
	require.NoError(t, err)
	defer l.Close()
	input := large("1", 10_000)
	for err = journal.ErrRejected; errors.Is(err, journal.ErrRejected); { // as large as it may be
		input = large("1", len(input.PersistedInput)-3)
		err = l.PersistInputState(t.Context(), "a", input)
	}
	require.NoError(t, err)
	for _, id := range []store.RuntimeID{"b", "c"} {
		require.NoError(t, l.PersistInputState(t.Context(), id, ready("1")))
	}
	for _, id := range []store.RuntimeID{"", "b", "c", ""} {
		c, err := l.ClaimNext(t.Context(), take)
		assert.Equal(t, id, c.RuntimeID)
		assert.Equal(t, id == "", errors.Is(err, journal.ErrRejected))
	}
}
