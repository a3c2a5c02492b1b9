package loopstore

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A meter holds what Stats tells. The owner writes it, but for what is said to
// be the callers', and anybody reads it at any time, so every figure is an
// atomic. There is no lock that could hold up the owner.
//
// The three looks at the clock cost a tenth of a hand-off. So each request of
// the pools is timed every 64th time that it is used, from a random one on, and
// stands for 64 then. Kinds of which one operation may take far longer than
// another are always timed, and stand for themselves.
type meter struct {
	start time.Time
	masks [ops.NumKinds]uint8 // a use whose number has none of these bits is timed
	_     [cacheLine]byte     // what callers read is apart from what the owner writes

	done    [ops.NumKinds]atomic.Uint64
	held    [10]atomic.Int64 // see figures
	highest atomic.Int64     // length of the inbox
	busy    atomic.Int64     // nanoseconds
	waited  atomic.Int64     // nanoseconds
	timed   atomic.Uint64
	running atomic.Uint64 // the span up to its beginning, while a long one is served; or 0
	recent  [recentSeconds]second

	// The owner's own copies.
	revision uint64
	figures  [10]int64

	_ [cacheLine]byte

	// The callers'.
	errors  [ops.NumKinds]atomic.Uint64
	waiting atomic.Int64
}

const (
	sampling      = 64 // a power of two, up to 128
	recentSeconds = 10
	cacheLine     = 128 // or two that are fetched together
)

// long are the operations that may keep the owner for a while.
var long = [ops.NumKinds]bool{
	ops.KindCommit: true, ops.KindPrune: true, ops.KindListRuntimes: true, ops.KindLoadImage: true, ops.KindDeleteRuntime: true,
	ops.KindImport: true,
}

func newMeter(timeAll bool) *meter {
	m := &meter{start: time.Now()}
	for kind := range m.masks {
		if !timeAll && !long[kind] {
			m.masks[kind] = sampling - 1
		}
	}
	return m
}

// now is the time since the start.
func (m *meter) now() time.Duration { return time.Since(m.start) }

// A sample says whether one use of a request is timed.
type sample struct {
	kind      ops.Kind
	uses      uint8 // so far, from a random number on
	standsFor uint8 // this one and so many others; 0 if it is not timed
}

// next begins a use, and reports whether it is timed.
func (s *sample) next(m *meter) bool {
	mask := m.masks[s.kind]
	s.uses++
	if s.standsFor = 0; s.uses&mask == 0 {
		s.standsFor = mask + 1
	}
	return s.standsFor > 0
}

// A timing is when, since the start of the meter, and how long.
type timing struct {
	called       time.Duration // 0 unless slow operations are told of
	sent, began  time.Duration
	waited, took time.Duration
}

// sent notes how many requests are in the inbox after one was sent.
func (m *meter) sent(n int) {
	for highest := m.highest.Load(); int64(n) > highest; highest = m.highest.Load() {
		if m.highest.CompareAndSwap(highest, int64(n)) {
			return
		}
	}
}

// begin and end go around what the owner does for a request that is timed.
func (m *meter) begin(t *timing, s sample) {
	t.began = m.now()
	if long[s.kind] {
		m.running.Store(uint64(spanOf(t.began, s.kind)))
	}
}

func (m *meter) end(t *timing, s sample) {
	now := m.now()
	t.waited, t.took = t.began-t.sent, now-t.began
	n := int64(s.standsFor)
	if long[s.kind] {
		m.running.Store(0)
	}
	m.timed.Add(1)
	m.busy.Add(n * int64(t.took))
	m.waited.Add(n * int64(t.waited))

	r := m.second(now)
	r.busy.Add(n * int64(t.took))
	r.waits[classOf(t.waited)].Add(uint64(n))
	if took := uint64(spanOf(t.took, s.kind)); took > r.slowest.Load() {
		r.slowest.Store(took)
	}
}

// count counts an operation that the owner has done, and what is held since.
func (m *meter) count(kind ops.Kind, state *store.State, err error) {
	if revision := state.Revision(); revision != m.revision && !state.Grouping() {
		m.revision = revision
		m.publish(figuresOf(state.Totals()))
	}
	if err == nil {
		m.done[kind].Add(1)
	}
}

// A second is what was timed in one of them.
type second struct {
	number  atomic.Int64 // since the start, from 1 on; 0 while it is cleared
	busy    atomic.Int64
	slowest atomic.Uint64 // a span
	waits   [waitClasses]atomic.Uint64
}

func numberOf(at time.Duration) int64 { return int64(at/time.Second) + 1 }

// second returns the current second, in the place of the tenth before it.
func (m *meter) second(now time.Duration) *second {
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

// publish shows how much is held. Only what has changed is written.
func (m *meter) publish(now [10]int64) {
	for i, n := range now {
		if n != m.figures[i] {
			m.held[i].Store(n)
		}
	}
	m.figures = now
}

func figuresOf(t store.Totals) [10]int64 {
	return [10]int64{
		int64(t.Runtimes), int64(t.InputStates), int64(t.Runs), int64(t.Receipts), int64(t.Snapshots), int64(t.Sessions),
		t.RuntimeBytes, t.InputBytes, t.ReceiptBytes, t.SnapshotBytes,
	}
}

func (m *meter) totals() store.Totals {
	n := func(i int) int64 { return m.held[i].Load() }
	return store.Totals{
		Runtimes: int(n(0)), InputStates: int(n(1)), Runs: int(n(2)), Receipts: int(n(3)), Snapshots: int(n(4)), Sessions: int(n(5)),
		RuntimeBytes: n(6), InputBytes: n(7), ReceiptBytes: n(8), SnapshotBytes: n(9),
	}
}
