package meter

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A Reading is what a meter shows. Each figure is right by itself; they are not
// all of one moment. Recent means the last ten seconds.
type Reading struct {
	Held         store.Totals
	Done, Failed [ops.NumKinds]uint64
	Conflicts    [ops.NumKinds]uint64 // calls whose error was one
	InboxHighest int
	Waiting      int // callers that wait for room
	Timed        uint64
	Uptime       time.Duration

	Wait             time.Duration // added up over all operations
	WaitP50, WaitP99 time.Duration // of the recent ones; powers of two
	Busy             time.Duration
	Saturation       float64 // the share of the recent time that the owner was busy
	Slowest          *Slow   // of the recent ones, nil if there is none
}

// Slow is an operation that took long.
type Slow struct {
	Kind ops.Kind      `json:"kind"`
	Took time.Duration `json:"took_ns"` // on the owner's goroutine
	At   time.Time     `json:"at"`      // the second in which it ended, or now if it has not
}

// Read returns what the meter shows. Once the owner is over, nothing is under
// way any more.
func (m *Meter) Read(over bool) Reading {
	r := Reading{
		Held: m.totals(), InboxHighest: int(m.highest.Load()), Waiting: int(m.waiting.Load()), Timed: m.timed.Load(),
		Wait: time.Duration(m.waited.Load()), Busy: time.Duration(m.busy.Load()),
	}
	for kind := range ops.NumKinds {
		r.Done[kind], r.Failed[kind], r.Conflicts[kind] = m.done[kind].Load(), m.failed[kind].Load(), m.conflicts[kind].Load()
	}
	m.readRecent(&r, over)
	return r
}

func (m *Meter) readRecent(to *Reading, over bool) {
	var waits waits
	var busy time.Duration
	var slowest span
	running := span(m.running.Load()) // before the time: it must have begun by then
	to.Uptime = m.Now()
	var number, current = int64(0), numberOf(to.Uptime)
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
		busy += to.Uptime - began
		if longest := spanOf(to.Uptime-began, kind); longest > slowest {
			slowest, number = longest, current
		}
	}
	if slowest != 0 {
		took, kind := slowest.split()
		to.Slowest = &Slow{Kind: kind, Took: took, At: m.start.Add(time.Duration(number-1) * time.Second)}
	}
	if window := min(to.Uptime, to.Uptime%time.Second+(recentSeconds-1)*time.Second); window > 0 {
		to.Saturation = min(1, float64(busy)/float64(window))
	}
	to.WaitP50, to.WaitP99 = waits.quantile(50), waits.quantile(99)
}

const recentSeconds = 10

// A second is what was timed in one of them.
type second struct {
	number  atomic.Int64 // since the start, from 1 on; 0 while it is cleared
	busy    atomic.Int64
	slowest atomic.Uint64 // a span
	waits   [waitClasses]atomic.Uint64
}

func numberOf(at time.Duration) int64 { return int64(at/time.Second) + 1 }

// second returns the current second, in the place of the tenth before it.
func (m *Meter) second(now time.Duration) *second {
	number := numberOf(now)
	s := &m.recent[number%recentSeconds]
	if s.number.Load() != number {
		s.number.Store(0)
		s.busy.Store(0)
		s.slowest.Store(0)
		for i := range s.waits {
			s.waits[i].Store(0)
		}
		s.number.Store(number)
	}
	return s
}

func (s *second) load() (w waits, busy time.Duration, slowest span) {
	for i := range s.waits {
		w[i] = s.waits[i].Load()
	}
	return w, time.Duration(s.busy.Load()), span(s.slowest.Load())
}

// A span is a duration and a kind of operation in one word, never 0. The longer
// one is greater.
type span uint64

func spanOf(d time.Duration, kind ops.Kind) span { return span(d+1)<<8 | span(kind) }

func (s span) split() (time.Duration, ops.Kind) { return time.Duration(s>>8) - 1, ops.Kind(s) }

// waits count by how many bits the nanoseconds of a wait have.
type waits [waitClasses]uint64

const waitClasses = 40 // up to nine minutes, and what is longer

func classOf(wait time.Duration) int { return min(bits.Len64(uint64(wait)), waitClasses-1) }

func (w *waits) add(other *waits) {
	for class, n := range other {
		w[class] += n
	}
}

// quantile returns what so many in a hundred waited at most.
func (w *waits) quantile(percent uint64) time.Duration {
	var all, sum uint64
	for _, n := range w {
		all += n
	}
	for class, n := range w {
		if sum += n; n > 0 && sum*100 >= all*percent {
			return 1 << class
		}
	}
	return 0
}
