package loopstore

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/loopstore/loopstore/store"
)

// A room bounds the payload bytes of the calls under way. Who recycles a
// request gives back what it took.
type room struct {
	most  int64
	free  *semaphore.Weighted
	taken atomic.Int64
	over  context.Context // ends with the owner
	end   context.CancelFunc
}

// newRoom returns nil if there is no bound.
func newRoom(most int64) *room {
	if most <= 0 {
		return nil
	}
	m := &room{most: most, free: semaphore.NewWeighted(most)}
	m.over, m.end = context.WithCancel(context.Background())
	return m
}

// enter takes n bytes of the room in flight, and waits for them if it may. It
// says at once in taken that it has, since a context may panic after that.
func (l *Loop) enter(ctx context.Context, n int64, taken *int64) error {
	m := l.inFlight
	switch {
	case n > m.most:
		return &store.LimitError{Limit: "bytes_in_flight", Most: m.most, Asked: n}
	case m.free.TryAcquire(n):
		m.taken.Add(n)
		*taken = n
	case l.refuseWhenFull:
		return &store.LimitError{Limit: "bytes_in_flight", Most: m.most, Asked: max(m.taken.Load()+n, m.most+1), Busy: true}
	default:
		l.meter.waiting.Add(1)
		defer l.meter.waiting.Add(-1)
		either, cancel := context.WithCancel(m.over) // so that the end of the owner needs no goroutine to be seen here
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		if m.free.Acquire(either, n) != nil {
			if m.over.Err() != nil {
				return l.unavailable()
			}
			return cancelled(ctx)
		}
		m.taken.Add(n)
		*taken = n
	}
	return nil
}

func (m *room) leave(n int64) {
	m.taken.Add(-n)
	m.free.Release(n)
}
