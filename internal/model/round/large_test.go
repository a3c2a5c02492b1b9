//go:build !race

package round

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/internal/model/modeltest"
)

func TestEveryRunKeepsThePromises(t *testing.T) {
	for _, p := range []Protocol{
		{Callers: 1, Calls: 3, Closes: true, Panics: true},
		{Callers: 3, Calls: 1},
		{Callers: 3, Calls: 1, Closes: true, Panics: true},
		{Callers: 2, Calls: 1, Closes: true, Panics: true, Without: Rules{AgainFirst: true}},
	} {
		r := modeltest.Holds(t, p, Explore)
		if p.Callers == 3 {
			assert.Greater(t, r.States, 1_000_000)
		}
		if p.Callers == 3 && p.Panics {
			modeltest.Documented(t, r.States, r.Visited)
		}
	}
}

func TestEveryRunOfLargerProtocolsKeepsThePromises(t *testing.T) {
	modeltest.HoldLarger(t, Explore,
		Protocol{Callers: 2, Calls: 2, Closes: true, Panics: true},
		Protocol{Callers: 4, Calls: 1},
	)
}
