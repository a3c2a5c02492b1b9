package storetest

import (
	"fmt"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func isolation() []promise {
	return []promise{
		{"no runtime sees what another has", noRuntimeSeesAnother},
		{"no write changes another runtime", noWriteChangesAnother},
		{"ids that look alike are different runtimes", idsThatLookAlike},
		{"two stores share nothing", twoStoresShareNothing},
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
	require.Equal(tr, a, b, "the same ids, in two runtimes")
	for name, err := range tr.allWrites("b", tr.Context()) {
		require.NoError(tr, err, name)
	}
	tr.lifecycle("b", store.RuntimeDestroyed, attempted(1, 9), attempted(2, 9))
	assert.Equal(tr, a, tr.view("a"))
	assert.NotEqual(tr, b, tr.view("b"), "b was changed")
	assert.EqualValues(tr, 1, tr.commit("a", committing(store.RunID{1})).Sequence, "each has its own sequence")
	assert.EqualValues(tr, 2, tr.commit("b", committing(store.RunID{1})).Sequence, "each has its own sequence")
}

// Every one of them has its own of everything.
func idsThatLookAlike(tr *trial) {
	ids := runtimeIDs()
	states := []store.RuntimeState{store.RuntimeIdle, store.RuntimeRunning, store.RuntimeStopped}
	state := func(i int) store.RuntimeState { return states[i%len(states)] }
	own := func(i int) store.BoundaryApply {
		a := applying(store.RunID{1}, 0, attempted(1, uint32(i)))
		a.Session = &store.SessionDelta{SessionSnapshot: fmt.Append(nil, i)}
		a.Receipt.MessageCount = uint64(i)
		return a
	}
	for i, id := range ids {
		tr.apply(id, own(i))
		tr.setRuntime(id, state(i))
	}
	for i, id := range ids {
		want := view{
			State: state(i), Snapshot: fmt.Sprint(i), Has: true,
			Inputs: []string{textOf(attempted(1, uint32(i)))}, Receipts: []string{textOf(own(i).Receipt)},
		}
		assert.Equal(tr, want, tr.view(id), "runtime %d, %.20q", i, id)
	}
}

func twoStoresShareNothing(tr *trial) {
	tr.fill("a")
	filled := tr.view("a")
	require.NotEqual(tr, view{}, filled, "the store was filled")
	first := tr.store
	tr.use(tr.factory.Open(tr.T))
	assert.Equal(tr, view{}, tr.view("a"), "the second is empty")
	tr.persist("a", attempted(1, 9))
	tr.store = first
	assert.Equal(tr, filled, tr.view("a"), "the first has not changed")
}
