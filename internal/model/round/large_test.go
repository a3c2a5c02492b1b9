//go:build !race

package round

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/internal/model"
	"github.com/loopstore/loopstore/internal/model/modeltest"
)

var most = flag.Int("states", 0, "explore larger protocols, up to so many states of each")

func TestEveryRunKeepsThePromises(t *testing.T) {
	for _, p := range []Protocol{
		{Callers: 1, Calls: 3, Closes: true, Panics: true},
		{Callers: 3, Calls: 1},
		{Callers: 3, Calls: 1, Closes: true, Panics: true},
		{Callers: 2, Calls: 1, Closes: true, Panics: true, Without: Rules{AgainFirst: true}},
	} {
		r := all(t, p)
		if p.Callers == 3 {
			assert.Greater(t, r.States, 1_000_000)
		}
		if p.Callers == 3 && p.Panics {
			modeltest.Documented(t, r.States, r.Visited)
		}
	}
}

func TestEveryRunOfLargerProtocolsKeepsThePromises(t *testing.T) {
	if *most == 0 {
		t.Skip("without -states")
	}
	for _, p := range []Protocol{
		{Callers: 2, Calls: 2, Closes: true, Panics: true},
		{Callers: 4, Calls: 1},
	} {
		modeltest.HoldsUpTo(t, *most, p, func(most int) model.Report { return Explore(p, most) })
	}
}
