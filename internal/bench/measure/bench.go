package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/loopstore/loopstore/store"
)

// A bench is a cell that was set up on a subject.
type bench struct {
	subject Subject
	store   store.RuntimeStore
	callers int
	how     string // the work is done, where subjects differ

	// call is what is measured. i counts a caller's calls, from 0.
	call func(ctx context.Context, caller, i int) error
	done int // calls of each caller so far
	// renew, if it is not nil, is called before the first of every span calls of the
	// callers. It is not measured.
	renew      func(ctx context.Context) error
	span, left int
	// special, if it is not nil, measures instead of measure.
	special func(ctx context.Context, goal time.Duration) (Sample, error)
	end     func() // called by close; may be nil
}

// open closes the store, if there is one, and opens another.
func (b *bench) open() (err error) {
	if err := b.closeStore(); err != nil {
		return err
	}
	b.store, err = b.subject.Open()
	if err != nil {
		b.store = nil
		return fmt.Errorf("opening it: %w", err)
	}
	return nil
}

func (b *bench) closeStore() error {
	closer, ok := b.store.(io.Closer)
	b.store = nil
	if !ok {
		return nil
	}
	if err := closer.Close(); err != nil {
		return fmt.Errorf("closing it: %w", err)
	}
	return nil
}

func (b *bench) close() error {
	if b.end != nil {
		b.end()
	}
	return b.closeStore()
}

// patience is how many times its goal a measurement may take, with the renewals that are
// not measured.
const patience = 2

// measure makes calls until they have taken about the goal. The time of the first calls
// says how many follow, so that no call needs to look at a clock.
func (b *bench) measure(ctx context.Context, goal time.Duration) (Sample, error) {
	if b.special != nil {
		return b.special(ctx, goal)
	}
	var m meter
	for began := time.Now(); m.calls == 0 || m.elapsed < goal*9/10 && time.Since(began) < patience*goal; {
		n := m.next(goal, b.callers)
		if b.renew != nil {
			if b.left == 0 {
				if err := b.renew(ctx); err != nil {
					return Sample{}, err
				}
				b.left = b.span
			}
			n = min(n, b.left)
			b.left -= n
		}
		m.start()
		err := b.spread(ctx, n, b.call)
		m.stop(n * b.callers)
		if err != nil {
			return Sample{}, err
		}
		b.done += n
	}
	return m.sample(), nil
}

// spread has every caller make n calls.
func (b *bench) spread(ctx context.Context, n int, call func(ctx context.Context, caller, i int) error) error {
	ctx, cancel := context.WithCancel(ctx) // a context that can be cancelled costs more
	defer cancel()
	calls := func(caller int) error {
		for i := range n {
			if i%1024 == 1023 && ctx.Err() != nil { // looking every time would cost
				return ctx.Err()
			}
			if err := call(ctx, caller, b.done+i); err != nil {
				cancel()
				return err
			}
		}
		return nil
	}
	if b.callers == 1 {
		return calls(0)
	}
	var wg sync.WaitGroup
	errs := make(chan error, b.callers)
	for caller := range b.callers {
		wg.Go(func() { errs <- calls(caller) })
	}
	wg.Wait()
	close(errs)
	return firstOf(errs)
}

// firstOf returns the first error. It returns that of a context only if there is no other,
// because the first error cancels the other callers.
func firstOf(errs <-chan error) (first error) {
	for err := range errs {
		if first == nil || err != nil && errors.Is(first, context.Canceled) {
			first = err
		}
	}
	return first
}

// A meter adds up the cost of calls.
type meter struct {
	calls           int
	elapsed         time.Duration
	bytes, mallocs  uint64
	started         time.Time
	memory, stopped runtime.MemStats
}

// next returns how many calls each caller makes next, by the time of the calls so far. It
// is at most 100 times as many as so far.
func (m *meter) next(goal time.Duration, callers int) int {
	if m.calls == 0 {
		return 1
	}
	left := float64(goal-m.elapsed) / max(1, float64(m.elapsed)) * float64(m.calls)
	return max(1, int(min(left, 100*float64(m.calls)))/callers)
}

func (m *meter) start() {
	runtime.ReadMemStats(&m.memory)
	m.started = time.Now()
}

func (m *meter) stop(calls int) {
	m.elapsed += time.Since(m.started)
	runtime.ReadMemStats(&m.stopped)
	m.calls += calls
	m.bytes += m.stopped.TotalAlloc - m.memory.TotalAlloc
	m.mallocs += m.stopped.Mallocs - m.memory.Mallocs
}

func (m *meter) sample() Sample {
	calls := float64(m.calls)
	return Sample{Calls: m.calls, Values: []Value{
		{Time, float64(m.elapsed) / calls}, {Bytes, float64(m.bytes) / calls}, {Allocs, float64(m.mallocs) / calls},
	}}
}

// runtimeIDs returns the ids of the callers' runtimes.
func runtimeIDs(callers int) []store.RuntimeID {
	ids := make([]store.RuntimeID, callers)
	for i := range ids {
		ids[i] = store.RuntimeID(fmt.Sprint("runtime-", i))
	}
	return ids
}
