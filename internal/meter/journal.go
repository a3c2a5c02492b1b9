package meter

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// A Journal counts what an owner has appended to its journal. The zero value is
// ready to use.
type Journal struct {
	epoch, index, appends, rejected, changes, bytes atomic.Uint64
	took                                            atomic.Int64

	// The owner's, of the append under way.
	batch journal.Batch
	began time.Time
}

// Begin and End go around an append.
func (m *Journal) Begin(batch journal.Batch) { m.batch, m.began = batch, time.Now() }

// End ends what Begin has begun.
func (m *Journal) End(at journal.Position, err error) {
	m.took.Add(int64(time.Since(m.began)))
	switch {
	case errors.Is(err, journal.ErrRejected):
		m.rejected.Add(1)
	case err == nil:
		m.epoch.Store(at.Epoch)
		m.index.Store(at.Index)
		m.appends.Add(1)
		m.changes.Add(uint64(len(m.batch.Changes)))
		m.bytes.Add(uint64(m.batch.Bytes()))
	}
	m.batch = journal.Batch{}
}

// Appended is what a Journal shows.
type Appended struct {
	Epoch, Index      uint64
	Appends, Rejected uint64
	Changes, Bytes    uint64
	Took              time.Duration
}

// Read returns what was counted.
func (m *Journal) Read() Appended {
	return Appended{
		Epoch: m.epoch.Load(), Index: m.index.Load(), Appends: m.appends.Load(), Rejected: m.rejected.Load(),
		Changes: m.changes.Load(), Bytes: m.bytes.Load(), Took: time.Duration(m.took.Load()),
	}
}
