package handoff

import (
	"fmt"
	"strings"

	"github.com/loopstore/loopstore/internal/model"
)

// String returns the size of a protocol.
func (p Protocol) String() string {
	return fmt.Sprintf("%d callers, %d calls, %d retries, inbox of %d, %d closers", p.Callers, p.Calls, p.Retries, p.Inbox, p.Closers)
}

// Who names a process.
func (*machine) Who(p model.Process) string {
	switch {
	case p == theOwner:
		return "owner"
	case p < closerOf:
		return fmt.Sprintf("caller %d", p-callerOf+1)
	}
	return fmt.Sprintf("closer %d", p-closerOf+1)
}

// Changes are those that others see.
func (*machine) Changes(s, n *state) []string {
	var all model.Words
	add := all.Add
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
