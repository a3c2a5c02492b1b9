package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/storetest"
)

// A closable store is the Router of a member that is alone, and closes its node: what
// nobody holds is closed then.
type closable struct {
	ops.Forward
	node *cluster.Node
}

func newClosable(n *cluster.Node) *closable {
	return &closable{func(ctx context.Context, call ops.Call) error {
		err := call.On(ctx, n.Router(nil))
		if errors.Is(err, cluster.ErrNotHolder) {
			return ops.Error(call, store.ErrClosed)
		}
		return err
	}, n}
}

func (c *closable) Close() error { return c.node.Close() }

// onlyTheStore has neither batches nor views.
type onlyTheStore struct{ store.RuntimeStore }

// A closableStore is one of these that closes its node.
type closableStore struct {
	onlyTheStore
	io.Closer
}

// A Router keeps the promises of a store. Over several partitions that is without
// batches, of which the suite makes many on several runtimes.
func TestRouterIsAStore(t *testing.T) {
	for name, partitions := range map[string]int{"one partition": 1, "eight": 8} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && partitions > 1 {
				t.Skip("the suite is tried on one partition")
			}
			engines := map[store.RuntimeStore]journal.Engine{}
			open := func(t testing.TB, e journal.Engine) (s store.RuntimeStore) {
				n, err := cluster.Join(t.Context(), cluster.Options{
					Cluster: "c", Partitions: partitions, Self: cluster.Member{Name: "a"}, Engine: e, Directory: cluster.NewDirectory(),
				})
				require.NoError(t, err)
				if s = newClosable(n); partitions > 1 {
					s = &closableStore{onlyTheStore{s}, n}
				}
				engines[s] = e
				return s
			}
			storetest.Run(t, storetest.Factory{
				Open:   func(t testing.TB) store.RuntimeStore { return open(t, journaltest.NewEngine()) },
				Reopen: func(t testing.TB, s store.RuntimeStore) store.RuntimeStore { return open(t, engines[s]) },
			})
		})
	}
}

func state(id store.RuntimeID) batch.Write {
	return batch.PutRuntimeState{RuntimeID: id, State: store.RuntimeIdle}
}

func TestBatchesStayInOnePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 4)
		c.join("a")
		time.Sleep(lease)
		r := c.members["a"].Router(nil)
		one, other := c.in(1), c.in(2)
		sibling := one + "x"
		for cluster.PartitionOf(sibling, 4) != 1 {
			sibling += "x"
		}
		result, err := r.Commit(t.Context(), batch.Batch{If: []batch.Condition{batch.RuntimeAbsent{RuntimeID: one}}, Then: []batch.Write{state(one), state(sibling)}})
		require.NoError(t, err)
		assert.EqualValues(t, 1, result.Revision)

		for _, batch := range []batch.Batch{
			{Then: []batch.Write{state(one), state(other)}},
			{If: []batch.Condition{batch.RuntimeAbsent{RuntimeID: other}}, Then: []batch.Write{state(one)}},
			{If: []batch.Condition{batch.RuntimeAbsent{RuntimeID: other}, batch.RuntimeAbsent{RuntimeID: one}}},
		} {
			_, err = r.Commit(t.Context(), batch)
			require.ErrorIs(t, err, cluster.ErrSpansPartitions)
			span, ok := errors.AsType[*cluster.SpanError](err)
			require.True(t, ok)
			assert.ElementsMatch(t, []int{1, 2}, span.Partitions[:])
			assert.ElementsMatch(t, []store.RuntimeID{one, other}, span.RuntimeIDs[:])
			assert.NotContains(t, span.Error(), string(one))
		}
		elsewhere, here := []store.Condition{&batch.RuntimeAbsent{RuntimeID: other}}, []store.Condition{batch.RuntimeExists{RuntimeID: sibling}}
		commit := func(on []store.Condition) error {
			_, err := r.CommitSessionBoundary(t.Context(), one, store.BoundaryCommit{If: on, Boundary: store.RunStart, Session: store.SessionDelta{Format: store.FormatLines}})
			return err
		}
		lifecycle := func(on []store.Condition) error {
			return r.AtomicLifecycleCommit(t.Context(), one, store.LifecycleCommit{If: on, RuntimeState: store.RuntimeIdle})
		}
		nested := func(on []store.Condition) error {
			_, err := r.Commit(t.Context(), batch.Batch{Then: []batch.Write{batch.CommitBoundary{RuntimeID: one, Commit: store.BoundaryCommit{
				If: on, Boundary: store.RunStart, Session: store.SessionDelta{Format: store.FormatLines},
			}}}})
			return err
		}
		for _, call := range []func([]store.Condition) error{commit, lifecycle, nested} {
			require.ErrorIs(t, call(elsewhere), cluster.ErrSpansPartitions)
			require.ErrorIs(t, call([]store.Condition{nil}), store.ErrInvalidValue)
			require.NoError(t, call(here))
		}
		_, ok, err := r.LoadRuntimeState(t.Context(), other)
		require.NoError(t, err)
		assert.False(t, ok)

		for name, then := range map[string]batch.Write{"nil": nil, "a pointer": (*batch.DeleteRuntime)(nil), "of another package": struct{ batch.PutRuntimeState }{}} {
			_, err = r.Commit(t.Context(), batch.Batch{Then: []batch.Write{state(one), then}})
			require.ErrorIs(t, err, store.ErrInvalidValue, name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.Commit(ctx, batch.Batch{Then: []batch.Write{state(one), state(other)}})
		require.ErrorIs(t, err, context.Canceled)
	})
}

// A fork is made in a partition, and refused between two.
func TestForksStayInOnePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 4)
		c.join("a", "b")
		time.Sleep(5 * lease)
		partition := c.members["b"].open()[0]
		other := c.in((partition + 1) % 4)
		in := func(name string) store.RuntimeID { // an id in the partition that begins so
			for cluster.PartitionOf(store.RuntimeID(name), 4) != partition {
				name += "x"
			}
			return store.RuntimeID(name)
		}
		for name, r := range map[string]*cluster.Router{"here": c.members["b"].Router(c.remote), "at another member": c.members["a"].Router(c.remote)} {
			from, to := in("from "+name), in("to "+name)
			lines := store.SessionDelta{SessionSnapshot: []byte("1\n"), Format: store.FormatLines, Append: true}
			_, err := r.CommitSessionBoundary(t.Context(), from, store.BoundaryCommit{Session: lines, Boundary: store.RunStart})
			require.NoError(t, err)
			require.NoError(t, r.Fork(t.Context(), from, 1, to), name)
			found, ok, err := r.LoadSessionAt(t.Context(), to, 1)
			require.NoError(t, err)
			assert.True(t, ok, name)
			assert.Equal(t, "1\n", found.String(), name)
			require.ErrorIs(t, r.Fork(t.Context(), from, 1, to), store.ErrConflict, "there is one, %s", name)
			require.ErrorIs(t, r.Fork(t.Context(), from, 2, in("nobody")), store.ErrNoVersion, name)

			err = r.Fork(t.Context(), from, 1, other)
			require.ErrorIs(t, err, cluster.ErrSpansPartitions)
			require.ErrorContains(t, err, "nothing was applied")
			op, ok := errors.AsType[*store.OpError](err)
			require.True(t, ok)
			assert.Equal(t, "fork", op.Op)
			assert.Equal(t, from, op.RuntimeID)
			span, ok := errors.AsType[*cluster.SpanError](err)
			require.True(t, ok)
			assert.Equal(t, &cluster.SpanError{
				RuntimeIDs: [2]store.RuntimeID{from, other}, Partitions: [2]int{partition, (partition + 1) % 4},
			}, span)
			v, err := r.View(t.Context(), other)
			require.NoError(t, err)
			assert.False(t, v.Exists(), "nothing was applied")
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		b := c.members["b"]
		require.ErrorIs(t, b.Router(nil).Fork(ended, in("from here"), 1, other), context.Canceled)
	})
}

// Every kind of condition and write is found to be of its runtime.
func TestEveryPartOfABatchHasItsRuntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2)
		c.join("a")
		r := c.members["a"].Router(nil)
		one, other := c.in(0), c.in(1)
		for _, cond := range []batch.Condition{
			batch.VersionIs{RuntimeID: other}, batch.RuntimeExists{RuntimeID: other}, batch.RuntimeAbsent{RuntimeID: other},
			batch.RuntimeStateIs{RuntimeID: other}, batch.InputStateIs{RuntimeID: other}, batch.InputAbsent{RuntimeID: other},
			batch.SessionDigestIs{RuntimeID: other}, batch.ReceiptAbsent{RuntimeID: other}, batch.KeyFree{RuntimeID: other}, &batch.KeyFree{RuntimeID: other},
		} {
			_, err := r.Commit(t.Context(), batch.Batch{If: []batch.Condition{cond}, Then: []batch.Write{state(one)}})
			require.ErrorIs(t, err, cluster.ErrSpansPartitions, "%T", cond)
		}
		for _, w := range []batch.Write{
			batch.PutInputState{RuntimeID: other}, batch.DeleteInputState{RuntimeID: other}, batch.PutReceipt{RuntimeID: other},
			batch.PutSnapshot{RuntimeID: other}, batch.RestoreSession{RuntimeID: other}, state(other), batch.CommitBoundary{RuntimeID: other}, batch.DeleteRuntime{RuntimeID: other},
		} {
			_, err := r.Commit(t.Context(), batch.Batch{Then: []batch.Write{state(one), w}})
			require.ErrorIs(t, err, cluster.ErrSpansPartitions, "%T", w)
		}
	})
}

func TestCallsGoToTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 4)
		c.join("a", "b")
		time.Sleep(5 * lease)
		p := c.members["b"].open()[0]
		id := c.in(p)
		a := c.members["a"]
		assert.Equal(t, cluster.Member{Name: "b", Address: "b:1"}, notHolder(t, set(t.Context(), a.Router(nil), id)).Holder)

		r := a.Router(c.remote)
		require.NoError(t, set(t.Context(), r, id))
		v, err := r.View(t.Context(), id)
		require.NoError(t, err)
		found, _ := v.RuntimeState()
		assert.Equal(t, store.RuntimeIdle, found)
		_, err = r.Commit(t.Context(), batch.Batch{If: []batch.Condition{batch.RuntimeExists{RuntimeID: id}}})
		require.NoError(t, err)

		r = a.Router(func(m cluster.Member) (store.RuntimeStore, error) {
			s, err := c.remote(m)
			return onlyTheStore{RuntimeStore: s}, err
		})
		_, err = r.View(t.Context(), id)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = r.Commit(t.Context(), batch.Batch{Then: []batch.Write{state(id)}})
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, _, err = r.LoadSessionAt(t.Context(), id, 1)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorIs(t, r.Fork(t.Context(), id, 1, id), errors.ErrUnsupported)

		r = a.Router(func(cluster.Member) (store.RuntimeStore, error) { return nil, errCut })
		err = set(t.Context(), r, id)
		require.ErrorIs(t, err, errCut)
		assert.ErrorContains(t, err, "nothing was applied")
		assert.NotErrorIs(t, err, cluster.ErrNotHolder)
	})
}

// A loop that has ended says so in terms of the cluster, and only if nothing was
// applied.
func TestEndsOfALoopAreNotHolder(t *testing.T) {
	for name, fault := range map[string]struct {
		fault       journaltest.Fault
		first, then error
	}{
		"fenced":    {journaltest.Fence(), cluster.ErrNotHolder, cluster.ErrNotHolder},
		"ambiguous": {journaltest.Ambiguous(true), store.ErrOutcomeUnknown, cluster.ErrNotHolder},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrew(t, 1)
				faulty := journaltest.NewFaulty(c.memory)
				c.engine = faulty
				c.join("a")
				time.Sleep(time.Second)
				a := c.members["a"]
				faulty.Next(fault.fault)
				late := make(chan error)
				go func() { late <- set(&slow{Context: t.Context(), takes: time.Second}, a.Router(nil), "r") }()
				synctest.Wait()
				err := set(t.Context(), a.Router(nil), "r")
				require.ErrorIs(t, err, fault.first)
				assert.Equal(t, fault.first == cluster.ErrNotHolder, errors.Is(err, cluster.ErrNotHolder))
				require.ErrorIs(t, set(t.Context(), a.Router(nil), "r"), fault.then)
				synctest.Wait()
				assert.Equal(t, cluster.Waiting, a.Status().Partitions[0].State)
				require.Error(t, a.Status().Partitions[0].Err)
				e := notHolder(t, set(t.Context(), a.Router(nil), "r"))
				assert.Zero(t, e.Holder, "it is not sent to where it comes from")
				require.ErrorIs(t, e, store.ErrFailed)

				e = notHolder(t, <-late)
				assert.ErrorIs(t, e, store.ErrFailed, "a call that was on its way to the loop")

				time.Sleep(lease)
				require.NoError(t, set(t.Context(), a.Router(nil), "r"), "it was opened again")
			})
		})
	}
}

// Whatever the engine says besides, an unknown outcome stays one.
func TestUnknownOutcomeStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1)
		faulty := journaltest.NewFaulty(c.memory)
		c.engine = faulty
		c.join("a")
		time.Sleep(time.Second)
		faulty.Next(journaltest.Fault{Err: fmt.Errorf("%w: %w", journal.ErrAmbiguous, store.ErrClosed), Stored: true})
		err := set(t.Context(), c.members["a"].Router(nil), "r")
		require.ErrorIs(t, err, store.ErrOutcomeUnknown)
		assert.NotErrorIs(t, err, cluster.ErrNotHolder)
	})
}

// A rejected batch is the caller's to know, and ends nothing.
func TestOtherErrorsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1)
		faulty := journaltest.NewFaulty(c.memory)
		c.engine = faulty
		c.join("a")
		time.Sleep(time.Second)
		faulty.Next(journaltest.Reject())
		err := set(t.Context(), c.members["a"].Router(nil), "r")
		require.ErrorIs(t, err, journal.ErrRejected)
		assert.NotErrorIs(t, err, cluster.ErrNotHolder)
		require.NoError(t, set(t.Context(), c.members["a"].Router(nil), "r"))
	})
}

// A call that comes to a loop when that is closed is for another member, also when
// this one has left.
func TestCallsThatComeTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2)
		c.join("a")
		time.Sleep(time.Second)
		a := c.members["a"]
		c.join("b")
		e := notHolder(t, set(&slow{Context: t.Context(), takes: 2 * lease}, a.Router(nil), c.in(1)))
		assert.Equal(t, cluster.Member{Name: "b", Address: "b:1"}, e.Holder)
		assert.ErrorContains(t, e, `partition 1, "b" at "b:1" holds it or is about to`)

		time.AfterFunc(lease, func() { _ = a.Close() })
		e = notHolder(t, set(&slow{Context: t.Context(), takes: 2 * lease}, a.Router(nil), c.in(0)))
		assert.Equal(t, "b", e.Holder.Name)
	})
}
