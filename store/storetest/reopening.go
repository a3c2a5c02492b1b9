package storetest

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func reopening() []promise {
	return []promise{
		{"everything is there again", everythingIsThereAgain},
		{"an input state comes back with every member", richStateComesBack},
		{"the order goes on", orderGoesOn},
		{"sequences go on", sequencesGoOn},
		{"what was refused is not there", refusedIsNotThere},
		{"what was acknowledged before Close is there, and nothing else", acknowledgedIsThere},
	}
}

func everythingIsThereAgain(tr *trial) {
	tr.fill("a")
	tr.fill("")
	empty := applying(store.RunID{1}, 0)
	empty.Session = new(store.SessionDelta)
	tr.apply("empty", empty)
	before := map[store.RuntimeID]view{}
	for _, id := range []store.RuntimeID{"a", "", "b", "empty"} {
		before[id] = tr.view(id)
	}
	require.Len(tr, before["a"].Inputs, 2, "the store was filled")
	for range 2 {
		tr.reopen()
		for id, want := range before {
			assert.Equal(tr, want, tr.view(id), "runtime %q", id)
		}
	}
}

func richStateComesBack(tr *trial) {
	tr.persist("a", tr.rich())
	tr.reopen()
	tr.stays(full)
}

func orderGoesOn(tr *trial) {
	tr.persist("a", accepted(5), accepted(3), accepted(9), accepted(3))
	tr.reopen()
	tr.persist("a", accepted(1), accepted(9))
	assert.Equal(tr, []int{5, 3, 9, 1}, tr.order("a"))
}

func sequencesGoOn(tr *trial) {
	tr.fill("a")
	tr.apply("a", applying(store.RunID{2}, 41))
	tr.reopen()
	assert.EqualValues(tr, 1, tr.commit("a", committing(store.RunID{1})).Sequence)
	assert.EqualValues(tr, 42, tr.commit("a", committing(store.RunID{2})).Sequence)
	_, err := tr.store.CommitSessionBoundary(tr.Context(), "a", committing(store.RunID{9}))
	assert.ErrorIs(tr, err, store.ErrSequenceExhausted)
}

func refusedIsNotThere(tr *trial) {
	tr.fill("a")
	before := tr.view("a")
	for _, r := range refusals() {
		require.ErrorIs(tr, r.do(tr.Context(), tr.store, "a"), r.is, r.words)
	}
	tr.reopen()
	assert.Equal(tr, before, tr.view("a"))
}

func acknowledgedIsThere(tr *trial) {
	if what := cannotClose(tr, tr.factory); what != "" {
		tr.Skip(what)
	}
	acknowledged := tr.writeUntilClosed()
	tr.reopen()
	assert.Len(tr, tr.inputs("a"), acknowledged)
}
