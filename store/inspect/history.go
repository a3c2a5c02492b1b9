package inspect

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
)

const (
	interval = 5 * time.Second
	window   = 10 * time.Minute
	kept     = int(window/interval) + 2 // one more at each end of the window
)

// A History is how a loop has done in the last ten minutes: a sample of its Stats every
// five seconds, at most 122 of them and some 100 kB. The zero value is empty and ready to
// use, by any number of goroutines. It is of one loop.
//
// A loop keeps no history, because it is quiet: it has no timer. Where somebody wants
// one from the start, a goroutine records it:
//
//	var history inspect.History
//	go history.Record(ctx, loop)
//	handler := inspect.Handler(loop, inspect.Options{History: &history})
//
// A handler without Options.History has one of its own. To either it adds a sample when
// the page of statistics is loaded, and every five seconds while that page is live, but
// never a second one within an interval.
type History struct {
	mu        sync.Mutex
	recorders int
	samples   []sample // the oldest first
	origin    time.Time
}

// Record takes a sample now and every five seconds, until ctx ends. It asks nothing of the
// owner. Of several that record one loop, one takes each sample.
func (h *History) Record(ctx context.Context, source Running) {
	h.count(1)
	defer h.count(-1)
	for h.take(source); h.wait(ctx, source) == nil; {
	}
}

func (h *History) count(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recorders += n
}

// wait waits for the next sample, and takes it unless another goroutine has. It returns
// the error of ctx if that ends first.
func (h *History) wait(ctx context.Context, source Running) error {
	h.mu.Lock()
	since := time.Since(h.origin)
	h.mu.Unlock()
	if err := wait(ctx, interval-since%interval); err != nil {
		return err
	}
	h.take(source)
	return nil
}

// take takes a sample, unless this interval has one, or the last is so new that a rate
// since then would say nothing.
func (h *History) take(source Running) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if len(h.samples) == 0 {
		h.origin = now
	} else if last := h.samples[len(h.samples)-1].At; now.Sub(last) < interval/2 || now.Sub(h.origin)/interval == last.Sub(h.origin)/interval {
		return
	}
	if len(h.samples) == kept {
		h.samples = slices.Delete(h.samples, 0, 1)
	}
	h.samples = append(h.samples, sampleOf(now.UTC(), source.Stats()))
}

// recent returns the samples of the window that ends now, and whether a goroutine
// records them.
func (h *History) recent(now time.Time) (samples []sample, recorded bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, s := range h.samples {
		if now.Sub(s.At) <= window {
			return slices.Clone(h.samples[i:]), h.recorders > 0
		}
	}
	return nil, h.recorders > 0
}

// A sample is the part of a loop's Stats that is shown over time. Its maps never change.
type sample struct {
	At          time.Time           `json:"at"`
	Uptime      time.Duration       `json:"uptime_ns"`
	Saturation  float64             `json:"saturation"`
	WaitP50     time.Duration       `json:"wait_p50_ns"`
	WaitP99     time.Duration       `json:"wait_p99_ns"`
	InboxLength int                 `json:"inbox_length"`
	Waiting     int                 `json:"waiting"`
	HeldBytes   int64               `json:"held_bytes"`
	Done        map[ops.Kind]uint64 `json:"done"` // without kinds that were never called
	Errors      uint64              `json:"errors"`
	Conflicts   uint64              `json:"conflicts"`
	Appends     uint64              `json:"appends"`
	Rejected    uint64              `json:"rejected"`
	Took        time.Duration       `json:"took_ns"` // by all appends
}

func sampleOf(at time.Time, stats loopstore.Stats) sample {
	s := sample{
		At: at, Uptime: stats.Uptime, Saturation: stats.Saturation, WaitP50: stats.WaitP50, WaitP99: stats.WaitP99,
		InboxLength: stats.InboxLength, Waiting: stats.Waiting, HeldBytes: stats.Held.Bytes(), Done: make(map[ops.Kind]uint64),
	}
	for kind, n := range stats.Operations {
		if n.Done > 0 {
			s.Done[kind] = n.Done
		}
		s.Errors += n.Errors
		s.Conflicts += n.Conflicts
	}
	if j := stats.Journal; j != nil {
		s.Appends, s.Rejected, s.Took = j.Appends, j.Rejected, j.Took
	}
	return s
}

func (s *sample) calls() (n uint64) {
	for _, done := range s.Done {
		n += done
	}
	return n
}
