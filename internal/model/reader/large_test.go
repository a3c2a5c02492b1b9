//go:build !race

package reader

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/internal/model/modeltest"
)

func TestEveryRunKeepsThePromises(t *testing.T) {
	largest := 0
	for _, p := range []Protocol{
		{Writes: 2, Readers: 2, Reads: 2},
		{Writes: 2, Readers: 3, Reads: 1, Calm: true},
		{Writes: 2, Readers: 1, Reads: 2, Watchers: 1, Shared: true, Calm: true},
		{Writes: 1, Readers: 2, Reads: 1, Watchers: 1},
		{Writes: 2, Watchers: 2, Calm: true},
		{Writes: 1, Watchers: 2, Group: 1, Shared: true},
		{Writes: 3, Readers: 1, Reads: 2, Group: 2, Calm: true},
		{Writes: 2, Readers: 1, Reads: 2, Watchers: 1, Group: 2, Calm: true},
		{Writes: 2, Readers: 1, Reads: 2, Without: Rules{KeepsLast: true}},
		{Writes: 2, Watchers: 1, Group: 1, Without: Rules{WakeAside: true}},
		{Writes: 3, Watchers: 1, Without: Rules{EndLoadedFirst: true}},
	} {
		largest = max(largest, modeltest.Holds(t, p, Explore).States)
	}
	assert.Greater(t, largest, 1_000_000)
	modeltest.Documented(t, largest)
}

func TestEveryRunOfLargerProtocolsKeepsThePromises(t *testing.T) {
	modeltest.HoldLarger(t, Explore,
		Protocol{Writes: 3, Readers: 2, Reads: 2, Shared: true},
		Protocol{Writes: 2, Readers: 3, Reads: 2, Calm: true},
		Protocol{Writes: 2, Readers: 2, Reads: 2, Group: 2},
		Protocol{Writes: 2, Readers: 1, Reads: 2, Watchers: 1},
		Protocol{Writes: 3, Readers: 2, Reads: 1, Watchers: 1, Group: 2, Calm: true},
		Protocol{Writes: 2, Watchers: 2},
		Protocol{Writes: 2, Readers: 1, Reads: 1, Watchers: 2, Shared: true, Calm: true},
	)
}
