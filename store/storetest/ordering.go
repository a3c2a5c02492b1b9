package storetest

import (
	"math/rand/v2"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func ordering() []promise {
	return []promise{
		{words: "inputs come in the order in which they were first stored", try: firstStoredFirst},
		{words: "a replacement stays in its place", try: replacementStaysInPlace},
		{words: "the inputs of a batch are added in its order", try: batchesKeepTheirOrder},
		{words: "of two updates of one input the last one wins, in the place of the first", try: lastUpdateWins},
		{words: "each runtime has an order of its own", try: orderIsPerRuntime},
		{words: "a batch of 1,500 inputs is kept whole, and in order", try: largeBatches},
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
	for _, way := range waysIn() {
		for _, n := range []byte{5, 9, 3} {
			require.NoError(tr, way.do(tr.Context(), tr.store, "a", attempted(n, 1)), way.name)
			assert.Equal(tr, want, tr.order("a"), "after %s of input %d", way.name, n)
		}
	}
	older := accepted(1) // the calls make the order, not the times in the states
	older.CreatedAt = tr.inputFrom(bare).CreatedAt
	tr.persist("a", older, accepted(2))
	assert.Equal(tr, append(want, 1, 2), tr.order("a"))
}

// batchWays are the ways that store several inputs in one step.
func batchWays() []wayIn { return waysIn()[:3] }

func batchesKeepTheirOrder(tr *trial) {
	for _, way := range batchWays() {
		id := store.RuntimeID(way.name)
		tr.persist(id, accepted(7))
		require.NoError(tr, way.do(tr.Context(), tr.store, id, accepted(9), accepted(1), accepted(7), accepted(8), accepted(2)))
		require.NoError(tr, way.do(tr.Context(), tr.store, id, accepted(0), accepted(2), accepted(9)))
		assert.Equal(tr, []int{7, 9, 1, 8, 2, 0}, tr.order(id), id)
	}
}

func lastUpdateWins(tr *trial) {
	for _, way := range batchWays() {
		id := store.RuntimeID(way.name)
		require.NoError(tr, way.do(tr.Context(), tr.store, id, attempted(6, 1), attempted(2, 1), attempted(6, 2), attempted(4, 1), attempted(6, 3)))
		assert.Equal(tr, []int{6, 2, 4}, tr.order(id), id)
		assert.EqualValues(tr, 3, tr.input(id, store.InputID{6}).AttemptCount, id)
		assert.EqualValues(tr, 1, tr.input(id, store.InputID{2}).AttemptCount, id)
	}
}

func largeBatches(tr *trial) {
	var batch []store.InputState
	for n := range 1500 {
		batch = append(batch, store.NewInputState(store.InputID{byte(n), byte(n >> 8)}, store.Time{}))
	}
	for _, way := range batchWays() {
		id := store.RuntimeID(way.name)
		require.NoError(tr, way.do(tr.Context(), tr.store, id, batch...), way.name)
		states := tr.inputs(id)
		require.Equal(tr, len(batch), len(states), "how many inputs are there after %s", way.name)
		for i := range states {
			require.Equal(tr, batch[i].InputID, states[i].InputID, "input %d after %s", i, way.name)
		}
	}
}

func orderIsPerRuntime(tr *trial) {
	tr.persist("a", accepted(3), accepted(1))
	tr.persist("b", accepted(1), accepted(2), accepted(3))
	tr.persist("a", accepted(2))
	assert.Equal(tr, []int{3, 1, 2}, tr.order("a"))
	assert.Equal(tr, []int{1, 2, 3}, tr.order("b"))
}
