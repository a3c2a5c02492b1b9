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
	// makes for itself are among them: a LoadSessionDocument before a boundary
	// commit, a LoadView in a Watch.
	Operations map[ops.Kind]Operations `json:"operations"`

	// Limits are those of the Options, so that Held can be compared with them.
	Limits      store.Limits `json:"limits"`
	MaxInFlight int64        `json:"max_in_flight"` // Options.BytesInFlight

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
	Done   uint64 `json:"done"`
	Errors uint64 `json:"errors"` // calls that returned one, and so changed nothing, unless it is store.ErrOutcomeUnknown
}

// Slow is an operation that took long.
type Slow struct {
	Kind ops.Kind      `json:"kind"`
	Took time.Duration `json:"took_ns"` // on the owner's goroutine
	At   time.Time     `json:"at"`      // the second in which it ended, or now if it has not
}

// Stats returns how the Loop is doing. It asks nothing of the owner, so it
// answers also while that is stuck, and after Close.
func (l *Loop) Stats() Stats {
	m, phase := l.meter, l.phase.Load()
	s := Stats{
		Held:        m.totals(),
		Operations:  make(map[ops.Kind]Operations, ops.NumKinds),
		Limits:      l.limits,
		InboxSize:   cap(l.inbox),
		InboxLength: len(l.inbox),
		Waiting:     int(m.waiting.Load()),
		Wait:        time.Duration(m.waited.Load()),
		Busy:        time.Duration(m.busy.Load()),
		Timed:       m.timed.Load(),
		Serving:     phase == serving,
		Journal:     l.journal.stats(),
	}
	s.InboxHighest = max(int(m.highest.Load()), s.InboxLength)
	if l.inFlight != nil {
		s.MaxInFlight = l.inFlight.most
	}
	if l.inFlight != nil && phase != ended {
		s.InFlight = l.inFlight.taken.Load()
	}
	for kind := range ops.NumKinds {
		s.Operations[kind] = Operations{Done: m.done[kind].Load(), Errors: m.errors[kind].Load()}
	}
	m.recently(&s, phase == ended)
	return s
}

// recently fills in what is of the last ten seconds.
func (m *meter) recently(s *Stats, over bool) {
	var waits waits
	var busy time.Duration
	var slowest span
	running := span(m.running.Load()) // before the time: it must have begun by then
	s.Uptime = m.now()
	var number, current = int64(0), numberOf(s.Uptime)
	for i := range m.recent {
		r := &m.recent[i]
		of := r.number.Load()
		if of <= current-recentSeconds {
			continue // too old, or none
		}
		w, b, longest := r.load()
		if r.number.Load() != of {
			continue // it has become too old
		}
		waits.add(&w)
		busy += b
		if longest > slowest {
			slowest, number = longest, of
		}
	}
	if running != 0 && !over {
		began, kind := running.split()
		busy += s.Uptime - began
		if longest := spanOf(s.Uptime-began, kind); longest > slowest {
			slowest, number = longest, current
		}
	}
	if slowest != 0 {
		took, kind := slowest.split()
		s.Slowest = &Slow{Kind: kind, Took: took, At: m.start.Add(time.Duration(number-1) * time.Second)}
	}
	if window := min(s.Uptime, s.Uptime%time.Second+(recentSeconds-1)*time.Second); window > 0 {
		s.Saturation = min(1, float64(busy)/float64(window))
	}
	s.WaitP50, s.WaitP99 = waits.quantile(50), waits.quantile(99)
}
