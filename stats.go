package loopstore

import (
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// Stats say how a Loop is doing. Each figure is right by itself; they are not
// all of one moment. Counts are exact, and an operation is in them before its
// call returns. Times are estimates: one in 64 operations is timed and stands
// for the others. Those that may take long are always timed, such as a Commit,
// and with Options.SlowThreshold all are. Recent means the last ten seconds.
//
// It is made for encoding/json, and so for expvar. Times are nanoseconds there.
type Stats struct {
	// Held is what the store holds, after the last change.
	Held store.Totals `json:"held"`

	// Operations are the calls since New, of every kind. Those that the store
	// makes for itself are among them: a LoadView in a Watch, a LoadImage in an
	// Export.
	Operations map[ops.Kind]Operations `json:"operations"`

	// Limits are those of the Options, so that Held can be compared with them.
	Limits      store.Limits `json:"limits"`
	MaxInFlight int64        `json:"max_in_flight"` // Options.BytesInFlight

	// Tombstones reports whether Options.Tombstones keeps any.
	Tombstones bool `json:"tombstones"`

	InboxSize    int   `json:"inbox_size"`
	InboxLength  int   `json:"inbox_length"`  // requests that wait for the owner now
	InboxHighest int   `json:"inbox_highest"` // the most that have, since New
	Waiting      int   `json:"waiting"`       // callers that wait for a place in the inbox, or for room in flight
	InFlight     int64 `json:"in_flight"`     // payload bytes of calls under way; 0 without Options.BytesInFlight

	// Wait is how long requests waited until the owner took them, from when
	// they were ready to be sent: since New, added up over all operations, and
	// what half and 99 in 100 of the recent ones waited at most. Those two are
	// powers of two, so up to twice what they should be.
	Wait    time.Duration `json:"wait_ns"`
	WaitP50 time.Duration `json:"wait_p50_ns"`
	WaitP99 time.Duration `json:"wait_p99_ns"`

	// Busy is the time that the owner has spent on operations since New, and
	// Saturation is which share of the recent time it was, from 0 to 1. At 1
	// the owner can do no more. In Busy the time of an operation counts when it
	// ends, in Saturation that of one that may take long while it is under way.
	Busy       time.Duration `json:"busy_ns"`
	Saturation float64       `json:"saturation"`

	// Slowest is the recent operation that kept the owner longest, of those
	// that were timed. It is nil if none was.
	Slowest *Slow `json:"slowest,omitempty"`

	// Journal is what was appended to the journal. It is nil without one.
	Journal *JournalStats `json:"journal,omitempty"`

	Timed   uint64        `json:"timed"` // operations that were, since New
	Uptime  time.Duration `json:"uptime_ns"`
	Serving bool          `json:"serving"` // false after Close, a panic, or a failure of the journal
}

// Operations are counts of calls.
type Operations struct {
	Done      uint64 `json:"done"`
	Errors    uint64 `json:"errors"`    // calls that returned one, and so changed nothing, unless it is store.ErrOutcomeUnknown
	Conflicts uint64 `json:"conflicts"` // calls whose error was store.ErrConflict; they are not among Errors
}

// Slow is an operation that took long.
type Slow struct {
	Kind ops.Kind      `json:"kind"`
	Took time.Duration `json:"took_ns"` // on the owner's goroutine
	At   time.Time     `json:"at"`      // the second in which it ended, or now if it has not
}

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

// Stats returns how the Loop is doing. It asks nothing of the owner, so it
// answers also while that is stuck, and after Close.
func (l *Loop) Stats() Stats {
	phase := l.phase.Load()
	r := l.meter.Read(phase == ended)
	s := Stats{
		Held: r.Held, Operations: make(map[ops.Kind]Operations, ops.NumKinds),
		Limits: l.intake.limits, MaxInFlight: l.intake.most, Tombstones: l.intake.tombstones,
		InboxSize: cap(l.inbox), InboxLength: len(l.inbox), Waiting: r.Waiting, InFlight: l.intake.taken.Load(),
		Wait: r.Wait, WaitP50: r.WaitP50, WaitP99: r.WaitP99,
		Busy: r.Busy, Saturation: r.Saturation, Slowest: (*Slow)(r.Slowest),
		Timed: r.Timed, Uptime: r.Uptime, Serving: phase == serving,
	}
	if phase == ended {
		s.InboxLength = 0 // what is left there has its answer
	}
	s.InboxHighest = max(r.InboxHighest, s.InboxLength)
	for kind := range ops.NumKinds {
		s.Operations[kind] = Operations{Done: r.Done[kind], Errors: r.Failed[kind], Conflicts: r.Conflicts[kind]}
	}
	if d := l.durable; d != nil {
		j := d.meter.Read()
		s.Journal = &JournalStats{
			Partition: d.partition, Epoch: j.Epoch, Index: j.Index, Appends: j.Appends, Rejected: j.Rejected,
			Changes: j.Changes, Bytes: j.Bytes, Took: j.Took,
		}
	}
	return s
}
