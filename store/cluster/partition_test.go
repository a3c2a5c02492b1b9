package cluster_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
)

// The vectors were computed by other means. They can never change: data would
// not be found any more.
func TestPartitionOfNeverChanges(t *testing.T) {
	counts := []int{1, 2, 8, 256, 1000, 4096}
	for id, want := range map[store.RuntimeID][]int{
		"":                                     {0, 0, 4, 20, 652, 3092},
		"a":                                    {0, 0, 2, 202, 250, 3530},
		"agent-1":                              {0, 0, 4, 172, 508, 3244},
		"äöü":                                  {0, 0, 4, 100, 748, 1636},
		"\x00":                                 {0, 0, 0, 152, 192, 2712},
		"0195b1c2-0000-7000-8000-000000000001": {0, 1, 5, 181, 69, 2741},
	} {
		for i, count := range counts {
			assert.Equal(t, want[i], cluster.PartitionOf(id, count), "%q of %d", id, count)
		}
	}
	assert.Panics(t, func() { cluster.PartitionOf("a", 0) })
	assert.Equal(t, "agents/17", cluster.PartitionName("agents", 17))
}

func TestPartitionsAreEven(t *testing.T) {
	counts := make([]int, 16)
	for i := range 16000 {
		counts[cluster.PartitionOf(store.RuntimeID(fmt.Sprint("agent-", i)), len(counts))]++
	}
	for p, n := range counts {
		assert.InDelta(t, 1000, n, 150, "partition %d", p)
	}
}
