package journaltest

import (
	"context"

	"github.com/loopstore/loopstore/store/journal"
)

// Limited returns the engine with smaller limits: of each limit, the smaller one
// counts, and 0 is none. What is beyond them is refused before it reaches the engine.
func Limited(engine journal.Engine, limits journal.Limits) journal.Engine {
	return limitedEngine{engine, limits}
}

type limitedEngine struct {
	journal.Engine
	limits journal.Limits
}

// Open implements [journal.Engine].
func (e limitedEngine) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := e.Engine.Open(ctx, partition, emit)
	if err != nil {
		return nil, err
	}
	limited := limitedJournal{j, e.limits}
	if beside, ok := j.(journal.Beside); ok {
		return limitedBeside{limited, beside}, nil
	}
	return limited, nil
}

type limitedJournal struct {
	journal.Journal
	limits journal.Limits
}

// Append implements [journal.Journal].
func (j limitedJournal) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	if err := j.Limits().Check(b); err != nil {
		return journal.Position{}, err
	}
	return j.Journal.Append(ctx, b)
}

// Limits implements [journal.Journal].
func (j limitedJournal) Limits() journal.Limits {
	l := j.Journal.Limits()
	return journal.Limits{
		KeyBytes:   smaller(l.KeyBytes, j.limits.KeyBytes),
		ValueBytes: smaller(l.ValueBytes, j.limits.ValueBytes),
		BatchBytes: smaller(l.BatchBytes, j.limits.BatchBytes),
	}
}

// smaller returns the smaller of two limits, of which 0 is none.
func smaller[N int | int64](a, b N) N {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}

type limitedBeside struct {
	limitedJournal
	beside journal.Beside
}

// CompactBeside implements [journal.Beside].
func (j limitedBeside) CompactBeside(ctx context.Context) error { return j.beside.CompactBeside(ctx) }
