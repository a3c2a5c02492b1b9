package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestMembersShareInBalance(t *testing.T) {
	for _, partitions := range []int{1, 8, 256} {
		synctest.Test(t, func(t *testing.T) {
			c := newCrew(t, partitions)
			c.join("a", "b", "c")
			time.Sleep(20 * lease)
			total := 0
			for name, n := range c.counts() {
				total += n
				assert.InDelta(t, float64(partitions)/3, n, 0.99, "%d partitions, of which %s has", partitions, name)
			}
			assert.Equal(t, partitions, total)
		})
	}
}
