package model

import (
	"fmt"
	"strings"
)

// refute notes that a state that was found breaks a promise, by itself or by a
// step, and how one gets there. The run is gone through again with the names that
// it began with.
func (x *explorer[S]) refute(at uint32, broken string) {
	x.Violation = broken
	var path []uint32
	for ; at != 0; at = x.node(at).from {
		path = append(path, at)
	}
	s := x.Start()
	for len(path) > 0 {
		x.list(&s)
		for _, step := range x.moves.All {
			if next, _ := x.Canonical(step.Next); next == x.node(path[len(path)-1]).state {
				x.Trace = append(x.Trace, x.line(&s, &step))
				s = step.Next
				break
			}
		}
		path = path[:len(path)-1]
	}
	x.list(&s)
	for _, step := range x.moves.All {
		if step.Broken == broken {
			x.Trace = append(x.Trace, x.line(&s, &step))
			return
		}
	}
}

// line is a step in words: who does what, and what is other after it.
func (x *explorer[S]) line(s *S, step *Move[S]) string {
	return strings.TrimRight(fmt.Sprintf("%-9s %-46s %s", x.Who(step.Who), step.What, strings.Join(x.Changes(s, &step.Next), ", ")), " ")
}

// Words say what is other after a step.
type Words []string

// Add adds words, if that is so.
func (w *Words) Add(so bool, form string, values ...any) {
	if so {
		*w = append(*w, fmt.Sprintf(form, values...))
	}
}
