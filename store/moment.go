package store

import (
	goruntime "runtime"
	"sync/atomic"
	"weak"
)

// A moment is the time for which a View is current. One goroutine, that of the
// State, ends it; any may look at it and wait for its end.
type moment struct {
	over    atomic.Bool
	waiting atomic.Pointer[waiter]             // the last of a list, nil until somebody waits, &never at the end
	next    atomic.Pointer[weak.Pointer[View]] // weak, so that a View holds no later one
}

// A waiter is a channel that some wait for. To close one for ten thousand takes
// milliseconds in which that thread does nothing else, so there are more.
type waiter struct {
	end    chan struct{}
	users  atomic.Int32
	before *waiter
}

const usersPerChannel = 256

// never is the waiter of a moment that is over.
var never = waiter{end: func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()}

// ended returns a channel that is closed when the moment is over.
func (m *moment) ended() <-chan struct{} {
	for {
		last := m.waiting.Load()
		if last == &never || last != nil && last.users.Add(1) <= usersPerChannel {
			return last.end
		}
		w := &waiter{end: make(chan struct{}), before: last}
		w.users.Store(1)
		if m.waiting.CompareAndSwap(last, w) {
			return w.end
		}
	}
}

// finish ends the moment. It returns those who wait, nil if nobody does.
func (m *moment) finish() *waiter {
	m.over.Store(true)
	return m.waiting.Swap(&never)
}

// Waiters are those who wait for the end of a View.
type Waiters []*waiter

// Wake tells them. It must be called once, by any goroutine, and lets others
// run in between.
func (w Waiters) Wake() {
	for _, last := range w {
		for ; last != nil; last = last.before {
			close(last.end)
			if last.before != nil {
				goruntime.Gosched()
			}
		}
	}
}

func (w *Waiters) add(m *moment) (some bool) {
	last := m.finish()
	if last != nil {
		*w = append(*w, last)
	}
	return last != nil
}

// Settle makes all changes since the last Settle one revision, and ends the
// Views of what they changed. It returns those who wait for that. They may be
// woken by another goroutine, since waking ten thousand takes a while.
//
// No View of what was changed is made before all Views of what stood are over.
// So whoever has seen one part of the changes finds no View that is current and
// lacks another.
func (s *State) Settle() (waiters Waiters) {
	if len(s.changed) == 0 {
		return nil
	}
	s.revision++
	var watched []*View
	for _, rt := range s.changed {
		if !rt.deleted {
			if rt.version == 0 {
				s.endAbsence(absence(rt.id), &waiters)
			}
			rt.version = s.revision
		}
		if v := rt.view; v != nil {
			rt.view = nil
			if waiters.add(v.moment) {
				watched = append(watched, v)
			}
		}
	}
	s.forgetChanges()
	for _, v := range watched { // or each of those who wait would ask for one
		v.moment.next.Store(new(weak.Make(s.View(v.id))))
	}
	return waiters
}

func (s *State) endAbsence(at int, waiters *Waiters) {
	if m := s.absences[at]; m != nil {
		s.absences[at] = nil
		waiters.add(m)
	}
}

// End ends all Views. None is current any more.
func (s *State) End() (waiters Waiters) {
	for _, rt := range s.runtimes {
		if v := rt.view; v != nil {
			rt.view = nil
			waiters.add(v.moment)
		}
	}
	for at := range s.absences {
		s.endAbsence(at, &waiters)
	}
	return waiters
}
