package loopstore

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// JournalStats say what a Loop has appended to its journal since Open.
type JournalStats struct {
	Partition string        `json:"partition"`
	Epoch     uint64        `json:"epoch"`    // of the last append, 0 before the first
	Index     uint64        `json:"index"`    // likewise
	Appends   uint64        `json:"appends"`  // batches that were stored
	Rejected  uint64        `json:"rejected"` // batches that the journal refused
	Changes   uint64        `json:"changes"`  // of keys, in all batches that were stored
	Bytes     uint64        `json:"bytes"`    // of their keys and values
	Took      time.Duration `json:"took_ns"`  // by all appends together
}

// A journalMeter holds what JournalStats tell. The owner writes it.
type journalMeter struct {
	partition string

	epoch, index, appends, rejected, changes, bytes atomic.Uint64
	took                                            atomic.Int64

	// Of the append under way.
	batch journal.Batch
	began time.Time
}

func (m *journalMeter) begin(batch journal.Batch) { m.batch, m.began = batch, time.Now() }

func (m *journalMeter) end(a appended) {
	m.took.Add(int64(time.Since(m.began)))
	switch {
	case errors.Is(a.err, journal.ErrRejected):
		m.rejected.Add(1)
	case a.err == nil:
		m.epoch.Store(a.position.Epoch)
		m.index.Store(a.position.Index)
		m.appends.Add(1)
		m.changes.Add(uint64(len(m.batch.Changes)))
		m.bytes.Add(uint64(m.batch.Bytes()))
	}
	m.batch = journal.Batch{}
}

// stats returns nil if there is no journal.
func (m *journalMeter) stats() *JournalStats {
	if m == nil {
		return nil
	}
	return &JournalStats{
		Partition: m.partition, Epoch: m.epoch.Load(), Index: m.index.Load(), Appends: m.appends.Load(), Rejected: m.rejected.Load(),
		Changes: m.changes.Load(), Bytes: m.bytes.Load(), Took: time.Duration(m.took.Load()),
	}
}
