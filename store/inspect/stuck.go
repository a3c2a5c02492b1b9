package inspect

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/loopstore/loopstore/store"
)

const (
	fewWaiting = 5                // that are named, of those that wait longest
	muchLonger = 10               // times the median
	atLeast    = time.Minute      // for that, too
	longAlone  = 10 * time.Minute // where there are too few to compare with
	tooFew     = 4
)

// A standing says what has not ended, over all runtimes.
type standing struct {
	Open     []openState // by state
	Waiting  queue       // inputs that wait for their turn
	UnderWay queue       // turns
	Inputs   int         // that have not ended
	Bar      []segment
}

// An openState says which inputs are in a state that does not end them.
type openState struct {
	State    store.InputLifecycleState `json:"state"`
	Inputs   int                       `json:"inputs"`
	Runtimes int                       `json:"runtimes"`
	Since    store.Time                `json:"since,omitzero"` // of the one that has been in it longest
}

// A queue has the runtimes in which something has not ended.
type queue struct {
	Inputs   int      `json:"inputs"`
	Runtimes int      `json:"runtimes"`
	Longest  []waiter `json:"longest"` // first the one that stands longest

	all []waiter
}

// A waiter is a runtime in a queue, with the input that stands there longest.
type waiter struct {
	RuntimeID store.RuntimeID `json:"runtime_id"`
	InputID   *store.InputID  `json:"input_id"` // null if the runtime itself is running
	State     string          `json:"state"`
	Since     store.Time      `json:"since,omitzero"`   // zero if that is not known
	Long      bool            `json:"long"`             // much longer than others
	Turn      bool            `json:"-"`                // it is one, and no input that waits for one
	Idle      bool            `json:"-"`                // the runtime has no turn under way
	Behind    int             `json:"behind,omitempty"` // inputs of the runtime that wait for its turn to end
	Share     float64         `json:"-"`                // of the longest time, in percent
}

// waits reports whether an input in an open state waits for its turn, as package turn has
// it. In the others it is under way.
func waits(s store.InputLifecycleState) bool {
	return s == store.InputAccepted || s == store.InputQueued
}

// sooner reports whether something was since a earlier than since b. A zero time is not
// known.
func sooner(a, b store.Time) bool { return !a.IsZero() && (b.IsZero() || a.Time().Before(b.Time())) }

// bySince sorts the earliest first, and what is not known last.
func bySince(a, b store.Time) int {
	switch {
	case sooner(a, b):
		return -1
	case sooner(b, a):
		return 1
	}
	return 0
}

// add takes a runtime into account.
func (s *standing) add(e *entry) {
	var waiting, underWay *waiter
	for _, o := range e.open {
		at := slices.IndexFunc(s.Open, func(known openState) bool { return known.State == o.State })
		if at < 0 {
			at = len(s.Open)
			s.Open = append(s.Open, openState{State: o.State})
		}
		known := &s.Open[at]
		known.Inputs += o.Count
		known.Runtimes++
		if sooner(o.Since, known.Since) {
			known.Since = o.Since
		}
		s.Inputs += o.Count
		in, of := &s.UnderWay, &underWay
		if waits(o.State) {
			in, of = &s.Waiting, &waiting
		}
		in.Inputs += o.Count
		if *of == nil || sooner(o.Since, (*of).Since) {
			*of = &waiter{RuntimeID: e.RuntimeID, State: string(o.State), Since: o.Since}
			if !o.Since.IsZero() {
				(*of).InputID = &o.Longest
			}
		}
	}
	if underWay == nil && e.RuntimeState == store.RuntimeRunning {
		underWay = &waiter{RuntimeID: e.RuntimeID, State: string(store.RuntimeRunning), Since: e.Active}
	}
	if underWay != nil {
		underWay.Turn, underWay.Behind = true, waitingIn(e)
	}
	if waiting != nil {
		waiting.Idle = underWay == nil
	}
	s.Waiting.add(waiting)
	s.UnderWay.add(underWay)
}

func waitingIn(e *entry) (inputs int) {
	for _, o := range e.open {
		if waits(o.State) {
			inputs += o.Count
		}
	}
	return inputs
}

// Stuck returns what stands unusually long: a turn rather than an input; nil if nothing does.
func (s *standing) Stuck() *waiter {
	for _, in := range []*queue{&s.UnderWay, &s.Waiting} {
		if len(in.Longest) > 0 && in.Longest[0].Long {
			return &in.Longest[0]
		}
	}
	return nil
}

func (l *queue) add(w *waiter) {
	if w != nil {
		l.Runtimes++
		if len(l.all) < maxSorted {
			l.all = append(l.all, *w)
		}
	}
}

// end finds out who stands longest.
func (s *standing) end(now time.Time) {
	slices.SortFunc(s.Open, func(a, b openState) int {
		return cmp.Compare(slices.Index(lifecycle, a.State), slices.Index(lifecycle, b.State))
	})
	at := 0.0
	for _, o := range s.Open {
		wide := 100 * float64(o.Inputs) / float64(s.Inputs)
		s.Bar = append(s.Bar, segment{o.State, at, wide})
		at += wide
	}
	s.Waiting.end(now)
	s.UnderWay.end(now)
}

func (l *queue) end(now time.Time) {
	l.Longest = []waiter{}
	if len(l.all) == 0 {
		return
	}
	slices.SortFunc(l.all, func(a, b waiter) int { return cmp.Or(bySince(a.Since, b.Since), cmp.Compare(a.RuntimeID, b.RuntimeID)) })
	most := longAlone
	if len(l.all) >= tooFew {
		median := min(max(0, now.Sub(l.all[len(l.all)/2].Since.Time())), math.MaxInt64/muchLonger)
		most = max(atLeast, muchLonger*median)
	}
	longest := max(1, now.Sub(l.all[0].Since.Time()))
	for _, w := range l.all[:min(len(l.all), fewWaiting)] {
		if !w.Since.IsZero() {
			stood := max(0, now.Sub(w.Since.Time()))
			w.Long, w.Share = stood > most, 100*float64(stood)/float64(longest)
		}
		l.Longest = append(l.Longest, w)
	}
}
