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
	watched bool                               // the State's own: somebody waited
}

// A waiter is a channel that some wait for. To close one for ten thousand takes
// milliseconds in which that thread does nothing else, so there are more, though
// not without bound: nobody says when a wait was given up.
type waiter struct {
	end    chan struct{}
	users  atomic.Int64 // who have asked for it
	before *waiter
	nth    int
}

const (
	usersPerChannel = 256
	maxChannels     = 64
)

// never is the waiter of a moment that is over.
var never = waiter{end: func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()}

// past is a moment that is over.
var past = func() *moment {
	m := new(moment)
	m.over.Store(true)
	m.waiting.Store(&never)
	return m
}()

// ended returns a channel that is closed when the moment is over.
func (m *moment) ended() <-chan struct{} {
	for {
		last := m.waiting.Load()
		if last == &never || last != nil && (last.users.Add(1) <= usersPerChannel || last.nth == maxChannels) {
			return last.end
		}
		w := &waiter{end: make(chan struct{}), before: last, nth: 1}
		w.users.Store(1)
		if last != nil {
			w.nth = last.nth + 1
		}
		if m.waiting.CompareAndSwap(last, w) {
			return w.end
		}
	}
}

// Waiters are those who wait for the end of Views.
type Waiters []*waiter

// Many reports whether there may be more than some hundreds.
func (w Waiters) Many() bool { return len(w) > 1 || len(w) == 1 && w[0].before != nil }

// Wake tells them. It must be called once, by any goroutine. It lets others run
// in between.
func (w Waiters) Wake() {
	for i, last := range w {
		for ; last != nil; last = last.before {
			close(last.end)
			if last.before != nil || i < len(w)-1 {
				goruntime.Gosched()
			}
		}
	}
}

// finish ends moments, all before any of those who wait can know of one. It
// returns them.
func finish(moments []*moment) (waiters Waiters) {
	for _, m := range moments {
		m.over.Store(true)
	}
	for _, m := range moments {
		if last := m.waiting.Swap(&never); last != nil {
			waiters = append(waiters, last)
			m.watched = true
		}
	}
	return waiters
}

// Settle makes all changes since the last Settle one revision, and ends the
// Views of what they changed. It returns those who wait for that. They may be
// woken by another goroutine, since waking ten thousand takes a while.
//
// No View of what was changed is made before all Views of what stood are over.
// So whoever was given one part of the changes finds no View that is current and
// lacks another.
//
// In a group all of that but the revision waits for its Commit.
func (s *State) Settle() Waiters {
	e := ending{absent: s.over}
	s.over = nil
	if len(s.changed) > 0 {
		s.revise(&e)
	}
	if s.group != nil {
		s.group.ending.add(e)
		return nil
	}
	return s.end(e)
}

// An ending is what ends with changes: views, and the moments of what was not
// there.
type ending struct {
	views  []*View
	absent []*moment
}

func (e *ending) add(other ending) {
	e.views = append(e.views, other.views...)
	e.absent = append(e.absent, other.absent...)
}

func (e *ending) moments() []*moment {
	moments := e.absent
	for _, v := range e.views {
		moments = append(moments, v.moment)
	}
	return moments
}

// revise makes the changes a revision.
func (s *State) revise(e *ending) {
	s.noteRevision()
	s.revision++
	for _, rt := range s.changed {
		if !rt.deleted {
			if rt.version == 0 {
				e.absent = s.endAbsence(absence(rt.id), e.absent)
			}
			rt.version = s.revision
		}
		if v := rt.view; v != nil {
			rt.view = nil
			e.views = append(e.views, v)
		}
	}
	s.forgetChanges()
}

func (s *State) end(e ending) Waiters {
	waiters := finish(e.moments())
	for _, v := range e.views {
		if v.moment.watched { // or each of those who wait would ask for the next one
			v.moment.next.Store(new(weak.Make(s.View(v.id))))
		}
	}
	return waiters
}

func (s *State) endAbsence(at int, moments []*moment) []*moment {
	if m := s.absences[at]; m != nil {
		s.absences[at] = nil
		moments = append(moments, m)
	}
	return moments
}

// End ends all Views, those of changes that are not settled too. None is
// current any more.
func (s *State) End() Waiters {
	var moments []*moment
	end := func(rt *runtime) {
		if rt.view != nil {
			moments = append(moments, rt.view.moment)
			rt.view = nil
		}
	}
	for _, rt := range s.runtimes {
		end(rt)
	}
	for _, rt := range s.changed {
		end(rt)
	}
	for at := range s.absences {
		moments = s.endAbsence(at, moments)
	}
	if s.group != nil {
		moments = append(moments, s.group.ending.moments()...)
		s.group.ending = ending{}
	}
	return finish(moments)
}
