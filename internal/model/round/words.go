package round

import (
	"fmt"

	"github.com/loopstore/loopstore/internal/model"
)

// String returns the size of a protocol.
func (p Protocol) String() string {
	s := fmt.Sprintf("%d callers, %d calls", p.Callers, p.Calls)
	if p.Closes {
		s += ", Close"
	}
	if p.Panics {
		s += ", panics"
	}
	return s
}

// Who names a process.
func (*machine) Who(p model.Process) string {
	if p < callerOf {
		return [...]string{"owner", "append", "other", "closer"}[p]
	}
	return fmt.Sprintf("caller %d", p-callerOf+1)
}

// Changes are those that others see, and what the owner holds.
func (*machine) Changes(s, n *state) []string {
	var all model.Words
	add := all.Add
	for i := range s.requests {
		was, is := &s.requests[i], &n.requests[i]
		add(is.kind != 0 && was.kind == 0, "r%d", i)
		add(is.claim != was.claim, "r%d %s", i, claims[is.claim])
		add(is.answer != was.answer, "r%d answered %q", i, answers[is.answer])
	}
	add(s.owner.held != n.owner.held && n.owner.at != draining, "held %v", n.owner.held)
	add(s.journal != n.journal, "journal %v", n.journal)
	add(s.taken != n.taken, "taken over %v", n.taken)
	add(s.done != n.done, "done closed")
	return all
}

var (
	calls        = [...]string{put: "a write", create: "a write if there is none", load: "a load"}
	runtimeNames = [...]string{" of A", " of B"}
	claims       = [...]string{"queued", "claimed", "abandoned"}
	answers      = [...]string{"nothing", "ok", "conflict", "refused", "unknown"}
)
