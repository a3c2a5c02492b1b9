package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// recording continues the trial with a store that records activity.
func (tr *trial) recording() {
	tr.Helper()
	tr.openWith(loopstore.Options{Activity: true})
}

// byActivity returns all summaries by activity, and checks their order.
func (tr *trial) byActivity() []state.RuntimeSummary {
	tr.Helper()
	made := map[store.RuntimeID]int{}
	for i, id := range tr.listed(state.Listing{}) {
		made[id] = i
	}
	all, err := tr.list(tr.Context(), state.Listing{ByActivity: true, Paging: state.Paging{Limit: 3}})
	require.NoError(tr, err)
	require.Len(tr, all, len(made))
	require.True(tr, slices.IsSortedFunc(all, func(a, b state.RuntimeSummary) int {
		if order := b.Active.Time().Compare(a.Active.Time()); order != 0 {
			return order
		}
		return made[a.RuntimeID] - made[b.RuntimeID]
	}), "the last one first, and of those that were written to at the same time the one that was made first")
	return all
}

func activeComesFirst(tr *trial) {
	tr.recording()
	const runtimes = 10
	id := func(n int) store.RuntimeID { return store.RuntimeID(fmt.Sprint("runtime ", n)) }
	for n := range runtimes {
		tr.setRuntime(id(n), store.RuntimeIdle)
		first := tr.summary(id(n))
		require.False(tr, first.Active.IsZero(), "it is known when it was written to")
		require.Equal(tr, first.Made, first.Active)
	}
	for n := range repeats(100) {
		written, w := id(n*7%runtimes), writes()[n%len(writes())]
		made := tr.summary(written).Made
		require.NoError(tr, w.do(tr.Context(), tr.store, written, 3), w.name)
		all := tr.byActivity()
		at := slices.IndexFunc(all, func(s state.RuntimeSummary) bool { return s.RuntimeID == written })
		require.Equal(tr, all[0].Active, all[at].Active, "nothing was written to later than what was written to last")
		require.Equal(tr, made, all[at].Made, "when it was made does not change")
	}
	tr.write(deleting(id(3)), setting(id(3), store.RuntimeIdle))
	again := tr.summary(id(3))
	require.Equal(tr, again.Active, again.Made, "one that is made again is a new one")
	tr.byActivity()
}

func writesAreActivity(tr *trial) {
	tr.recording()
	tr.fill("a")
	tr.setRuntime("b", store.RuntimeIdle)
	active := func() time.Time { return tr.summary("a").Active.Time() }
	later := func(name string, do func()) { // clocks may have ticks
		tr.Helper()
		before := active()
		require.Eventually(tr, func() bool { do(); return active().After(before) }, 10*time.Second, time.Millisecond, "%s is activity", name)
	}
	for _, w := range writes() {
		later(w.name, func() { require.NoError(tr, w.do(tr.Context(), tr.store, "a", 1)) })
	}
	for _, w := range remakes("a") {
		if _, restores := w.(batch.RestoreSession); !restores {
			later(fmt.Sprintf("%T", w), func() { tr.write(w) })
		}
	}
	for n := range byte(100) {
		tr.persist("a", accepted(100+n))
	}
	n := byte(100)
	later("DeleteInputState", func() {
		tr.write(removing(n))
		n++
	})

	before := active()
	tr.allBadWrites("a", tr.Context())
	tr.allDone(tr.allReads("a", tr.Context()), "")
	tr.allDone(tr.allWrites("b", tr.Context()), "")
	tr.write(removing(99))
	_ = tr.conflictOf(batch.Batch{If: []batch.Condition{batch.RuntimeAbsent{RuntimeID: "a"}}, Then: []batch.Write{setting("a", store.RuntimeIdle)}})
	if p, ok := tr.store.(pruner); ok {
		removed, err := p.Prune(tr.Context(), "a", store.Retention{ReceiptsPerRun: 1})
		require.NoError(tr, err)
		require.Positive(tr, removed.Receipts)
	}
	require.Equal(tr, before, active(), "after what is no write of the runtime")
}
