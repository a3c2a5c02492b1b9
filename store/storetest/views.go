package storetest

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func views() []promise {
	return []promise{
		{words: "a view shows what the operations find", try: viewsAgree},
		{words: "inputs are found by order, by id and by key", try: viewsFindInputs},
		{words: "receipts are found by run and sequence, and so is the latest", try: viewsFindReceipts},
		{words: "a view of a missing runtime shows nothing, and leaves no trace", try: viewsOfNothing},
		{words: "a view never changes", try: viewsNeverChange},
		{words: "what a view returns is the caller's own", try: viewsArePrivate},
		{words: "a view is current until the runtime changes", try: viewsAreCurrent},
		{words: "all parts of a view are of one boundary", try: viewsAreOfOneBoundary},
		{words: "View is refused if its context has ended or the store is closed", try: endedViewsAreRefused},
	}
}

func viewsAgree(tr *trial) {
	tr.fill("a")
	version := tr.look("a").Version()
	for mark := range uint32(3) {
		for _, w := range writes() {
			require.NoError(tr, w.do(tr.Context(), tr.store, "a", mark+1), w.name)
			v := tr.look("a")
			require.Equal(tr, tr.view("a"), tr.shown(v), "after %s", w.name)
			require.True(tr, v.Exists())
			require.EqualValues(tr, "a", v.RuntimeID())
			require.Greater(tr, v.Version(), version, "the version after %s", w.name)
			version = v.Version()
		}
	}
}

func viewsFindInputs(tr *trial) {
	tr.persist("a", accepted(5), keyed(3, "k"), keyed(9, "k"), keyed(4, ""), keyed(5, "five"))
	byKey := func(key string) int {
		state, ok := tr.look("a").InputStateByKey(key)
		if !ok {
			return -1
		}
		return int(state.InputID[0])
	}
	var order []int
	for state := range tr.look("a").InputStates() {
		if order = append(order, int(state.InputID[0])); len(order) == 3 {
			break
		}
	}
	assert.Equal(tr, []int{5, 3, 9}, order, "the first three")
	assert.Equal(tr, 4, tr.look("a").NumInputStates())
	assert.Equal(tr, []int{3, 4, 5, -1}, []int{byKey("k"), byKey(""), byKey("five"), byKey("K")}, "the first input with each key")
	tr.persist("a", accepted(3))
	assert.Equal(tr, 9, byKey("k"), "the first input that still has it")
	_, ok := tr.look("a").InputState(store.InputID{7})
	assert.False(tr, ok)
}

func viewsFindReceipts(tr *trial) {
	for _, at := range []place{{store.RunID{2}, 7}, {store.RunID{1}, 0}, {store.RunID{2}, math.MaxUint64}, {store.RunID{2}, 2}, {store.RunID{1}, 0}, {store.RunID{2}, 0}} {
		tr.apply("a", applying(at.run, at.sequence))
		latest, ok := tr.look("a").LatestReceipt()
		require.True(tr, ok)
		assert.Equal(tr, at, place{latest.RunID, latest.Sequence}, "the receipt that was stored last")
	}
	v := tr.look("a")
	assert.Equal(tr, []store.RunID{{2}, {1}}, slices.Collect(v.Runs()), "in the order of their first receipts")
	var sequences []uint64
	for receipt := range v.Receipts(store.RunID{2}) {
		assert.Equal(tr, store.RunID{2}, receipt.RunID)
		sequences = append(sequences, receipt.Sequence)
	}
	assert.Equal(tr, []uint64{0, 2, 7, math.MaxUint64}, sequences)
	assert.Empty(tr, slices.Collect(v.Receipts(store.RunID{3})))
	_, ok := v.Receipt(store.RunID{2}, 1)
	assert.False(tr, ok)
}

// isEmpty checks that v shows a runtime that does not exist.
func (tr *trial) isEmpty(v *state.View, id store.RuntimeID) {
	tr.Helper()
	assert.Equal(tr, id, v.RuntimeID())
	assert.False(tr, v.Exists(), "a view of a missing runtime")
	assert.Zero(tr, v.Version(), "the version of a missing runtime")
	assert.Equal(tr, view{}, tr.shown(v))
	assert.Empty(tr, slices.Collect(v.Runs()))
	_, ok := v.LatestReceipt()
	assert.False(tr, ok)
	_, ok = v.InputStateByKey("")
	assert.False(tr, ok)
}

func viewsOfNothing(tr *trial) {
	for _, id := range []store.RuntimeID{"b", "", "\xff"} {
		tr.isEmpty(tr.look(id), id)
		assert.Equal(tr, view{}, tr.view(id), "after a view")
		if has[batch.Committer](tr) {
			_, err := tr.tryBatch(batch.Batch{If: []batch.Condition{batch.RuntimeAbsent{RuntimeID: id}}})
			assert.NoError(tr, err, "after a view")
			assert.Zero(tr, tr.write().Revision, "a view is no change")
		}
	}
	tr.fill("a")
	tr.isEmpty(tr.look("b"), "b")
}

// viewsNeverChange keeps a view of each version. They outlive the runtime and the
// store.
func viewsNeverChange(tr *trial) {
	var kept []*state.View
	var shown []view
	keep := func() {
		kept = append(kept, tr.look("a"))
		shown = append(shown, tr.shown(kept[len(kept)-1]))
	}
	stay := func(when string) {
		for i, v := range kept {
			require.Equal(tr, shown[i], tr.shown(v), "view %d %s", i, when)
		}
	}
	keep()
	tr.fill("a")
	keep()
	for _, w := range writes() {
		for mark := range uint32(3) {
			require.NoError(tr, w.do(tr.Context(), tr.store, "a", mark+1), w.name)
			stay("after " + w.name)
			keep()
		}
	}
	if has[batch.Committer](tr) {
		tr.write(batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{1}}, putting("a", accepted(1)))
		keep()
		tr.write(deleting("a"))
		stay("after the runtime was deleted")
		tr.fill("a")
	}
	if has[io.Closer](tr) {
		tr.close()
	}
	stay("at the end")
}

func viewsArePrivate(tr *trial) {
	c := committing(store.RunID{1}, tr.rich())
	c.ContributingInputIDs = []store.InputID{{7}}
	tr.commit("a", c)
	v := tr.look("a")
	want := tr.shown(v)
	for range 2 {
		one, _ := v.InputState(store.InputID{3})
		keyed, _ := v.InputStateByKey(*one.IdempotencyKey)
		latest, _ := v.LatestReceipt()
		at, _ := v.Receipt(store.RunID{1}, 0)
		snapshot, _ := v.Snapshot()
		scribble(&one)
		scribble(&keyed)
		scribbleReceipt(&latest)
		scribbleReceipt(&at)
		clear(snapshot.Bytes())
		for state := range v.InputStates() {
			scribble(&state)
		}
		for receipt := range v.Receipts(store.RunID{1}) {
			scribbleReceipt(&receipt)
		}
		require.Equal(tr, want, tr.shown(v), "the view whose answers the caller changed")
		require.Equal(tr, want, tr.shown(tr.look("a")), "another view")
		require.Equal(tr, want, tr.view("a"), "the store")
	}
}

// isCurrent checks that v says of itself whether it is current.
func (tr *trial) isCurrent(want bool, v *state.View, when string) {
	tr.Helper()
	closed := false
	select {
	case <-v.Changed():
		closed = true
	default:
	}
	require.Equal(tr, want, v.Current(), "Current %s", when)
	require.Equal(tr, want, !closed, "whether Changed is open %s", when)
}

func viewsAreCurrent(tr *trial) {
	none := tr.look("a")
	tr.isCurrent(true, none, "when nothing has changed")
	tr.setRuntime("a", store.RuntimeIdle)
	tr.isCurrent(false, none, "after the runtime was made")
	for _, w := range writes() {
		v := tr.look("a")
		tr.isCurrent(true, v, "at first")
		require.NoError(tr, w.do(tr.Context(), tr.store, "b", 1), w.name)
		tr.allBadWrites("a", tr.Context())
		tr.allDone(tr.allReads("a", tr.Context()), "")
		tr.isCurrent(true, v, "after calls that do not change the runtime")
		require.NoError(tr, w.do(tr.Context(), tr.store, "a", 1), w.name)
		tr.isCurrent(false, v, "after "+w.name)
		tr.isCurrent(true, tr.look("a"), "of the next view")
	}
	if has[batch.Committer](tr) {
		v := tr.look("a")
		_ = tr.conflictOf(batch.Batch{If: []batch.Condition{batch.RuntimeAbsent{RuntimeID: "a"}}, Then: []batch.Write{deleting("a")}})
		tr.isCurrent(true, v, "after a conflict")
		tr.write(deleting("a"))
		tr.isCurrent(false, v, "after the runtime was deleted")
		tr.setRuntime("a", store.RuntimeIdle)
	}
	if has[io.Closer](tr) {
		v, none := tr.look("a"), tr.look("none")
		tr.close()
		tr.isCurrent(false, v, "after Close")
		tr.isCurrent(false, none, "after Close")
	}
}

// agrees returns the mark of the boundary commit that v shows, or an error if its
// parts are of different commits. The commits are those of writes().
func agrees(v *state.View) (mark uint32, err error) {
	latest, ok := v.LatestReceipt()
	if !ok {
		if v.Exists() {
			err = fmt.Errorf("version %d has no receipt", v.Version())
		}
		return 0, err
	}
	mark = uint32(latest.Sequence) + 1
	snapshot, _ := v.Snapshot()
	state, _ := v.InputState(store.InputID{11})
	receipts := len(slices.Collect(v.Receipts(store.RunID{1})))
	if snapshot.String() != string(marked(mark)) || state.AttemptCount != mark || receipts != int(mark) ||
		!slices.Equal(latest.ContributingInputIDs, []store.InputID{markID(mark)}) {
		err = fmt.Errorf("version %d has the snapshot %q, input 11 at mark %d, and %d receipts, the last with the contributing inputs %v: not all of this is of mark %d",
			v.Version(), snapshot, state.AttemptCount, receipts, latest.ContributingInputIDs, mark)
	}
	return mark, err
}

func viewsAreOfOneBoundary(tr *trial) {
	var begun, returned atomic.Uint32
	var over atomic.Bool
	err := together(4, func(caller int) error {
		if caller == 0 {
			defer over.Store(true)
			for mark := uint32(1); mark <= uint32(repeats(200)); mark++ {
				begun.Store(mark)
				if err := writes()[0].do(tr.Context(), tr.store, "a", mark); err != nil {
					return err
				}
				returned.Store(mark)
				for range mark % 16 { // let others look
					runtime.Gosched()
				}
			}
			return nil
		}
		var kept []*state.View
		var seen uint32
		for !over.Load() {
			low := max(seen, returned.Load())
			v, err := tr.viewer("a")(tr.Context())
			if err == nil {
				seen, err = agrees(v)
			}
			if err != nil {
				return err
			}
			if high := begun.Load(); seen < low || seen > high {
				return fmt.Errorf("a view shows mark %d, although mark %d had returned or was seen (the last write that began is %d)", seen, low, high)
			}
			if len(kept) == 0 || seen > uint32(10*len(kept)) {
				kept = append(kept, v)
			}
			runtime.Gosched()
		}
		for _, v := range kept {
			if _, err := agrees(v); err != nil {
				return fmt.Errorf("a view that was kept: %w", err)
			}
		}
		return nil
	})
	require.NoError(tr, err)
}

func endedViewsAreRefused(tr *trial) {
	tr.fill("a")
	view := func(ctx context.Context) error {
		_, err := tr.viewer("a")(ctx)
		return err
	}
	for _, e := range tr.ended() {
		tr.refused("View", view(e.ctx), e.err)
	}
	if has[io.Closer](tr) {
		tr.close()
		tr.refused("View", view(tr.Context()), store.ErrClosed)
	}
}
