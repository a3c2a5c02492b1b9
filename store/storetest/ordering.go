package storetest

import (
	"math/rand/v2"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/store"
)

func ordering() []promise {
	return []promise{
		{"inputs come in the order in which they were first stored", firstStoredFirst},
		{"a replacement stays in its place", replacementStaysInPlace},
		{"the inputs of a batch are added in its order", batchesKeepTheirOrder},
		{"of two updates of one input the last wins, in the place of the first", lastUpdateWins},
		{"each runtime has an order of its own", orderIsPerRuntime},
	}
}

// order returns the first bytes of a runtime's input ids.
func (tr *trial) order(id store.RuntimeID) []int {
	tr.Helper()
	order := []int{}
	for _, s := range tr.inputs(id) {
		order = append(order, int(s.InputID[0]))
	}
	return order
}

func firstStoredFirst(tr *trial) {
	want := rand.New(rand.NewPCG(1, 2)).Perm(200)
	for _, n := range want {
		tr.persist("a", accepted(byte(n)))
	}
	assert.Equal(tr, want, tr.order("a"))
}

func replacementStaysInPlace(tr *trial) {
	tr.persist("a", accepted(5), accepted(3), accepted(9), accepted(4))
	want := []int{5, 3, 9, 4}
	for name, replace := range map[string]func(store.InputState){
		"PersistInputState":     func(s store.InputState) { tr.persist("a", s) },
		"AtomicApply":           func(s store.InputState) { tr.apply("a", applying(store.RunID{1}, 0, s)) },
		"CommitSessionBoundary": func(s store.InputState) { tr.commit("a", committing(store.RunID{1}, s)) },
		"AtomicLifecycleCommit": func(s store.InputState) { tr.lifecycle("a", store.RuntimeIdle, s) },
	} {
		for _, n := range []byte{5, 9, 3} {
			replace(attempted(n, 1))
			assert.Equal(tr, want, tr.order("a"), "after %s of input %d", name, n)
		}
	}
	older := accepted(1) // the order is that of the calls, not of the times in the states
	older.CreatedAt = tr.inputFrom(bare).CreatedAt
	tr.persist("a", older, accepted(2))
	assert.Equal(tr, append(want, 1, 2), tr.order("a"))
}

// batches are the operations that store several inputs.
func (tr *trial) batches() map[store.RuntimeID]func(id store.RuntimeID, batch ...store.InputState) {
	return map[store.RuntimeID]func(store.RuntimeID, ...store.InputState){
		"AtomicApply":           func(id store.RuntimeID, b ...store.InputState) { tr.apply(id, applying(store.RunID{1}, 0, b...)) },
		"CommitSessionBoundary": func(id store.RuntimeID, b ...store.InputState) { tr.commit(id, committing(store.RunID{1}, b...)) },
		"AtomicLifecycleCommit": func(id store.RuntimeID, b ...store.InputState) { tr.lifecycle(id, store.RuntimeIdle, b...) },
	}
}

func batchesKeepTheirOrder(tr *trial) {
	for id, do := range tr.batches() {
		tr.persist(id, accepted(7))
		do(id, accepted(9), accepted(1), accepted(7), accepted(8), accepted(2))
		do(id, accepted(0), accepted(2), accepted(9))
		assert.Equal(tr, []int{7, 9, 1, 8, 2, 0}, tr.order(id), id)
	}
}

func lastUpdateWins(tr *trial) {
	for id, do := range tr.batches() {
		do(id, attempted(6, 1), attempted(2, 1), attempted(6, 2), attempted(4, 1), attempted(6, 3))
		assert.Equal(tr, []int{6, 2, 4}, tr.order(id), id)
		assert.EqualValues(tr, 3, tr.input(id, store.InputID{6}).AttemptCount, id)
		assert.EqualValues(tr, 1, tr.input(id, store.InputID{2}).AttemptCount, id)
	}
}

func orderIsPerRuntime(tr *trial) {
	tr.persist("a", accepted(3), accepted(1))
	tr.persist("b", accepted(1), accepted(2), accepted(3))
	tr.persist("a", accepted(2))
	assert.Equal(tr, []int{3, 1, 2}, tr.order("a"))
	assert.Equal(tr, []int{1, 2, 3}, tr.order("b"))
}
