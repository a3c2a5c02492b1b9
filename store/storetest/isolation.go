package storetest

import (
	"fmt"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func isolation() []promise {
	return []promise{
		{words: "no runtime sees what another has", try: noRuntimeSeesAnother},
		{words: "no write changes another runtime", try: noWriteChangesAnother},
		{words: "ids that look alike are different runtimes", try: idsThatLookAlike},
		{words: "two stores share nothing", try: twoStoresShareNothing},
	}
}

func noRuntimeSeesAnother(tr *trial) {
	tr.fill("a")
	require.NotEqual(tr, view{}, tr.view("a"), "the store was filled")
	for _, id := range []store.RuntimeID{"", "b", "aa", "\xff"} {
		assert.Equal(tr, view{}, tr.view(id), "runtime %q", id)
	}
}

func noWriteChangesAnother(tr *trial) {
	tr.fill("a")
	tr.fill("b")
	a, b := tr.view("a"), tr.view("b")
	require.Equal(tr, a, b, "two runtimes with the same ids")
	tr.allDone(tr.allWrites("b", tr.Context()), "to b")
	tr.lifecycle("b", store.RuntimeDestroyed, attempted(1, 9), attempted(2, 9))
	assert.Equal(tr, a, tr.view("a"))
	assert.NotEqual(tr, b, tr.view("b"), "b was changed")
	assert.EqualValues(tr, 1, tr.commit("a", committing(store.RunID{1})).Sequence, "each has a sequence of its own")
	assert.EqualValues(tr, 2, tr.commit("b", committing(store.RunID{1})).Sequence, "each has a sequence of its own")
}

func idsThatLookAlike(tr *trial) {
	check := tr.putOwn(runtimeIDs())
	check()
}

// putOwn stores different values of every kind in each runtime, and returns a function
// that checks them.
func (tr *trial) putOwn(ids []store.RuntimeID) (check func()) {
	own := func(i int) store.BoundaryApply {
		a := applying(store.RunID{1}, 0, attempted(1, uint32(i)))
		a.Session = &store.SessionDelta{SessionSnapshot: fmt.Append(nil, i)}
		a.Receipt.MessageCount = uint64(i)
		return a
	}
	for i, id := range ids {
		tr.apply(id, own(i))
		tr.setRuntime(id, stateOf(uint32(i+1)))
		tr.persist(id, attempted(2, uint32(i)))
	}
	return func() {
		tr.Helper()
		for i, id := range ids {
			want := view{
				State: stateOf(uint32(i + 1)), HasState: true, Snapshot: fmt.Sprint(i), HasSnapshot: true,
				Inputs:   []string{textOf(attempted(1, uint32(i))), textOf(attempted(2, uint32(i)))},
				Receipts: []string{textOf(own(i).Receipt)},
			}
			assert.Equal(tr, want, tr.view(id), "runtime %d, %.20q", i, id)
		}
	}
}

func twoStoresShareNothing(tr *trial) {
	tr.fill("a")
	filled := tr.view("a")
	require.NotEqual(tr, view{}, filled, "the store was filled")
	first := tr.store
	tr.open()
	assert.Equal(tr, view{}, tr.view("a"), "the second store is empty")
	tr.persist("a", attempted(1, 9))
	tr.store = first
	assert.Equal(tr, filled, tr.view("a"), "the first store has not changed")
}
