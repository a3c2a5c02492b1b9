package state

import (
	"sync/atomic"

	"github.com/loopstore/loopstore/store"
)

// A moment is the time for which a View is current. One goroutine, that of the
// State, ends it; any may look at it and wait for its end.
type moment struct {
	over atomic.Bool
	end  atomic.Pointer[chan struct{}] // closed at the end; nil until somebody waits
}

// past is a moment that is over.
var past = func() *moment {
	m, end := new(moment), make(chan struct{})
	m.over.Store(true)
	m.end.Store(&end)
	close(end)
	return m
}()

// ended returns a channel that is closed when the moment is over.
func (m *moment) ended() <-chan struct{} {
	if m.end.Load() == nil {
		m.end.CompareAndSwap(nil, new(make(chan struct{})))
	}
	return *m.end.Load()
}

// Waiters are those who wait for the end of Views.
type Waiters []chan struct{}

// Wake tells them. It must be called once, by any goroutine.
func (w Waiters) Wake() {
	for _, end := range w {
		close(end)
	}
}

// finish ends moments, all before any of those who wait can know of one, and
// returns those. A moment may have ended before.
func finish(moments []*moment) (waiters Waiters) {
	for _, m := range moments {
		m.over.Store(true)
	}
	over := past.end.Load()
	for _, m := range moments {
		if end := m.end.Swap(over); end != nil && end != over {
			waiters = append(waiters, *end)
		}
	}
	return waiters
}

// End ends all Views, those of changes that are not settled too. None is
// current any more.
func (s *State) End() Waiters {
	ended := s.over
	end := func(rt *runtime) {
		if rt.view != nil {
			ended = append(ended, rt.view.moment)
			rt.view = nil
		}
	}
	for _, rt := range s.runtimes {
		end(rt)
	}
	for _, t := range s.changed {
		end(t.rt)
	}
	for at := range s.absences {
		ended = s.endAbsence(at, ended)
	}
	ended = s.feed.end(ended)
	if s.group != nil {
		ended = append(ended, s.groupEnds()...)
	}
	s.over = nil
	return finish(ended)
}

func (s *State) endAbsence(at int, ended []*moment) []*moment {
	if m := s.absences[at]; m != nil {
		s.absences[at] = nil
		ended = append(ended, m)
	}
	return ended
}

// absence says which of State.absences is that of a runtime. Views of other
// runtimes that are not there share it.
func absence(id store.RuntimeID) int { return int(hash(id) % uint32(len(State{}.absences))) }
