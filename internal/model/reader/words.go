package reader

import (
	"fmt"
	"strings"

	"github.com/loopstore/loopstore/internal/model"
)

// String returns the size of a protocol.
func (p Protocol) String() string {
	size := fmt.Sprintf("%d writes, %d readers, %d reads, %d watchers", p.Writes, p.Readers, p.Reads, p.Watchers)
	if p.Group > 0 {
		size += fmt.Sprintf(", rounds of %d", p.Group)
	}
	if p.Shared {
		size += ", one absence"
	}
	if p.Calm {
		size += ", calm"
	}
	return size
}

// Who names a process.
func (*machine) Who(p model.Process) string {
	switch {
	case p < lookOf:
		return [...]string{"owner", "waker", "journal", "closer"}[p]
	case p < lookOf+maxReaders:
		return fmt.Sprintf("reader %d", p-lookOf+1)
	}
	return fmt.Sprintf("watcher %d", p-lookOf-maxReaders+1)
}

var names = [...]string{"A", "B"}

// words says what a write does to A and B.
func words(does ...uint8) string {
	var all []string
	for x, does := range does {
		if does != none {
			all = append(all, [...]string{puts: "puts ", deletes: "deletes "}[does]+names[x])
		}
	}
	return strings.Join(all, ", ")
}

// Changes are those that others see.
func (*machine) Changes(s, n *state) []string {
	var all model.Words
	add := all.Add
	add(n.writes > s.writes, "write %d", n.writes)
	for i := range n.looks {
		was, is := &s.looks[i].view, &n.looks[i].view
		add(was.moment == 0 && is.moment != 0, "it has m%d of write %d", is.moment, is.shows)
		add(s.looks[i].channel == 0 && n.looks[i].channel != 0, "it waits")
	}
	for x := range n.last {
		was, is := s.last[x], n.last[x]
		add(was != is, "the last of %s is m%d of write %d", names[x], is.moment, is.shows)
	}
	for i := range n.moments {
		was, is := s.moments[i], n.moments[i]
		add(is.over != 0 && was.over == 0, "m%d over", i)
		add(was.end != closed && is.end == closed, "the end of m%d closed", i)
	}
	add(s.done != n.done, "done closed")
	return all
}
