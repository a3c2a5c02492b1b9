package inspect

import (
	"maps"
	"slices"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
)

// A board is the statistics.
type board struct {
	loopstore.Stats

	Called []ops.Kind // the operations that were called
}

func (h *handler) stats() page {
	b := &board{Stats: h.source.Stats()}
	for _, kind := range slices.Sorted(maps.Keys(b.Operations)) {
		if b.Operations[kind] != (loopstore.Operations{}) {
			b.Called = append(b.Called, kind)
		}
	}
	return page{Template: "stats", Title: "Statistics", Body: b}
}
