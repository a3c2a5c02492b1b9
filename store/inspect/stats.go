package inspect

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
)

// A board is the statistics.
type board struct {
	loopstore.Stats

	Rows []operationRow // of the operations that there were, by name
}

type operationRow struct {
	Kind ops.Kind
	loopstore.Operations
}

func (h *handler) stats(*http.Request) (page, error) {
	b := &board{Stats: h.source.Stats()}
	for _, kind := range slices.Sorted(maps.Keys(b.Operations)) {
		if o := b.Operations[kind]; o != (loopstore.Operations{}) {
			b.Rows = append(b.Rows, operationRow{kind, o})
		}
	}
	return page{Template: "stats", Title: "Statistics", Body: b}, nil
}

// brief writes a time with three digits.
func brief(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
