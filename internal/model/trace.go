package model

import (
	"fmt"
	"strings"
)

// refute notes that a state that was found breaks a promise, by itself or by a
// step, and how one gets there. The run is gone through again with the names that
// it began with.
func (x *explorer) refute(at uint32, broken string) {
	x.Violation = broken
	var path []uint32
	for ; at != 0; at = x.node(at).from {
		path = append(path, at)
	}
	s := start()
	for len(path) > 0 {
		x.list(&s)
		for _, step := range x.all {
			if next, _ := x.canonical(step.next); next == x.node(path[len(path)-1]).state {
				x.Trace = append(x.Trace, line(&s, step))
				s = step.next
				break
			}
		}
		path = path[:len(path)-1]
	}
	x.list(&s)
	for _, step := range x.all {
		if step.broken == broken {
			x.Trace = append(x.Trace, line(&s, step))
			return
		}
	}
}

// line is a step in words: who does what, and what is other after it.
func line(s *state, step move) string {
	return strings.TrimRight(fmt.Sprintf("%-9s %-46s %s", step.who, step.what, strings.Join(changes(s, &step.next), ", ")), " ")
}

func (p process) String() string {
	switch {
	case p == theOwner:
		return "owner"
	case p < closerOf:
		return fmt.Sprintf("caller %d", p-callerOf+1)
	}
	return fmt.Sprintf("closer %d", p-closerOf+1)
}

// changes are those that others see.
func changes(s, n *state) []string {
	var all []string
	add := func(changed bool, form string, values ...any) {
		if changed {
			all = append(all, fmt.Sprintf(form, values...))
		}
	}
	for i := range s.callers {
		was, is := &s.callers[i], &n.callers[i]
		add(is.at == checking && was.at == idle, "it has r%d", is.request)
		add(is.at == returning && was.at != returning, "it gets %q", answers[is.got])
	}
	add(s.phase != n.phase, "phase %s", phases[n.phase])
	add(s.inbox != n.inbox, "inbox [%s]", n.listed())
	for i := range s.requests {
		was, is := &s.requests[i], &n.requests[i]
		add(is.claim != was.claim && (is.claim != queued || is.fate == was.fate), "r%d %s", i, claims[is.claim])
		add(is.applied && !was.applied, "r%d applied", i)
		add(is.answer != none && is.answer != was.answer, "r%d answered %q", i, answers[is.answer])
		add(is.fate == pooled && was.fate != pooled, "r%d in the pool", i)
	}
	add(s.done != n.done, "done closed")
	return all
}

func (s *state) listed() string {
	names := make([]string, s.length)
	for i, r := range s.inbox[:s.length] {
		names[i] = fmt.Sprintf("r%d", r)
		if r == stop {
			names[i] = "stop"
		}
	}
	return strings.Join(names, " ")
}

var (
	phases  = [...]string{"serving", "closing", "ended"}
	claims  = [...]string{"queued", "claimed", "abandoned"}
	answers = [...]string{"nothing", "ok", "again", "failed", "refused", "cancelled"}
)
