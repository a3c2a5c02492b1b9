// Package meter has the counters and samples of an owner and its callers. The
// owner and the callers write them, and anybody reads them at any time, so every
// figure is an atomic. There is no lock that could hold up the owner.
//
// The three looks at the clock cost a tenth of a hand-off. So each pooled request
// is timed every 64th time that it is used, from a random one on, and stands for
// 64 then. Long operations are always timed, and stand for themselves.
package meter

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A Meter measures one owner and its callers. New makes one.
type Meter struct {
	start time.Time
	masks [ops.NumKinds]uint8 // a use whose number has none of these bits is timed
	_     [cacheLine]byte     // what callers read is apart from what the owner writes

	// The owner's.
	done    [ops.NumKinds]atomic.Uint64
	held    [numFigures]atomic.Int64
	highest atomic.Int64 // length of the inbox
	busy    atomic.Int64 // nanoseconds
	waited  atomic.Int64 // nanoseconds
	timed   atomic.Uint64
	running atomic.Uint64 // the span up to its beginning, while a long one is served; or 0
	recent  [recentSeconds]second

	revision uint64 // of what was published, and that itself: only the owner reads them
	figures  [numFigures]int64

	_ [cacheLine]byte

	// The callers'.
	failed    [ops.NumKinds]atomic.Uint64
	conflicts [ops.NumKinds]atomic.Uint64
	waiting   atomic.Int64
}

const (
	sampling  = 64  // a power of two, up to 128
	cacheLine = 128 // or two that are fetched together
)

// New returns a meter that starts now. It times every operation if it is told
// to.
func New(timeAll bool) *Meter {
	m := &Meter{start: time.Now()}
	for kind := range m.masks {
		if !timeAll && !ops.Kind(kind).Long() {
			m.masks[kind] = sampling - 1
		}
	}
	return m
}

// Now is the time since the start.
func (m *Meter) Now() time.Duration { return time.Since(m.start) }

// A Sample says whether one use of a request is timed.
type Sample struct {
	Kind      ops.Kind
	uses      uint8 // so far, from a random number on
	standsFor uint8 // this one and so many others; 0 if it is not timed
}

// SampleOf returns the sample of a new request.
func SampleOf(kind ops.Kind) Sample { return Sample{Kind: kind, uses: uint8(rand.Uint32())} }

// Timed reports whether this use is timed.
func (s *Sample) Timed() bool { return s.standsFor > 0 }

// Skip makes this use one that is not timed.
func (s *Sample) Skip() { s.standsFor = 0 }

// Next begins a use, and reports whether it is timed.
func (m *Meter) Next(s *Sample) bool {
	mask := m.masks[s.Kind]
	s.uses++
	if s.standsFor = 0; s.uses&mask == 0 {
		s.standsFor = mask + 1
	}
	return s.Timed()
}

// A Timing is when, since the start of the meter, and how long.
type Timing struct {
	Called       time.Duration // 0 unless slow operations are logged
	Sent, began  time.Duration
	Waited, Took time.Duration
}

// Sent notes how many requests are in the inbox after one was sent.
func (m *Meter) Sent(n int) {
	for highest := m.highest.Load(); int64(n) > highest; highest = m.highest.Load() {
		if m.highest.CompareAndSwap(highest, int64(n)) {
			return
		}
	}
}

// Begin and End go around what the owner does for a request that is timed.
func (m *Meter) Begin(t *Timing, s Sample) {
	t.began = m.Now()
	if s.Kind.Long() {
		m.running.Store(uint64(spanOf(t.began, s.Kind)))
	}
}

// End ends what Begin has begun.
func (m *Meter) End(t *Timing, s Sample) {
	now := m.Now()
	t.Waited, t.Took = t.began-t.Sent, now-t.began
	if s.Kind.Long() {
		m.running.Store(0)
	}
	n := int64(s.standsFor)
	m.timed.Add(1)
	m.busy.Add(n * int64(t.Took))
	m.waited.Add(n * int64(t.Waited))

	r := m.second(now)
	r.busy.Add(n * int64(t.Took))
	r.waits[classOf(t.Waited)].Add(uint64(n))
	if took := uint64(spanOf(t.Took, s.Kind)); took > r.slowest.Load() {
		r.slowest.Store(took)
	}
}

// Done counts an operation that the owner has done.
func (m *Meter) Done(kind ops.Kind) { m.done[kind].Add(1) }

// Failed counts a call that returned an error. A conflict is counted apart: it is what a
// condition asked for.
func (m *Meter) Failed(kind ops.Kind, err error) {
	if errors.Is(err, store.ErrConflict) {
		m.conflicts[kind].Add(1)
		return
	}
	m.failed[kind].Add(1)
}

// Waiting counts callers that begin, 1, or end, -1, to wait for room.
func (m *Meter) Waiting(n int64) { m.waiting.Add(n) }

// Published reports whether what is held at a revision is shown already.
func (m *Meter) Published(revision uint64) bool { return revision == m.revision }

// Publish shows how much is held at a revision. Only what has changed is
// written.
func (m *Meter) Publish(revision uint64, held store.Totals) {
	m.revision = revision
	now := figuresOf(held)
	for i, n := range now {
		if n != m.figures[i] {
			m.held[i].Store(n)
		}
	}
	m.figures = now
}

const numFigures = 13

func figuresOf(t store.Totals) [numFigures]int64 {
	return [numFigures]int64{
		int64(t.Runtimes), int64(t.InputStates), int64(t.Runs), int64(t.Receipts), int64(t.Snapshots), int64(t.Versions), int64(t.Sessions),
		int64(t.Keys), int64(t.Tombstones),
		t.RuntimeBytes, t.InputBytes, t.ReceiptBytes, t.SnapshotBytes,
	}
}

func (m *Meter) totals() store.Totals {
	n := func(i int) int64 { return m.held[i].Load() }
	return store.Totals{
		Runtimes: int(n(0)), InputStates: int(n(1)), Runs: int(n(2)), Receipts: int(n(3)), Snapshots: int(n(4)), Versions: int(n(5)), Sessions: int(n(6)),
		Keys: int(n(7)), Tombstones: int(n(8)),
		RuntimeBytes: n(9), InputBytes: n(10), ReceiptBytes: n(11), SnapshotBytes: n(12),
	}
}
