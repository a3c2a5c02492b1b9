package journalbench_test

import (
	"context"
	"testing"

	"github.com/loopstore/loopstore/internal/bench/journalbench"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// memory is the engine in memory, with a client that stores nothing. It shows what the loop
// itself costs.
var memory = journalbench.Subject{
	Engine: func(*testing.B) journal.Engine { return journaltest.NewEngine() },
	Raw: func(*testing.B) func(context.Context, []journal.Change) error {
		return func(context.Context, []journal.Change) error { return nil }
	},
}

func BenchmarkInputs(b *testing.B)   { journalbench.Inputs(b, memory) }
func BenchmarkSessions(b *testing.B) { journalbench.Sessions(b, memory) }
func BenchmarkOpen(b *testing.B)     { journalbench.Open(b, memory) }

func TestImport(t *testing.T) {
	journalbench.Import(t, 3, journaltest.Limited(journaltest.NewEngine(), journal.Limits{BatchBytes: 1 << 20}))
}
