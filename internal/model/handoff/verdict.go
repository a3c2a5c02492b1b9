package handoff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/loopstore/loopstore/internal/model"
)

// waiting says who is not done in a state in which no log goes on. "" is nobody.
func (c *checker) waiting(s *state) string {
	for i := range c.Callers {
		if s.callers[i].at != idle {
			return fmt.Sprintf("caller %d waits for ever", i+1)
		}
	}
	for i := range c.Closers {
		if at := s.closers[i]; at != open && at != returned {
			return fmt.Sprintf("closer %d waits for ever", i+1)
		}
	}
	if at := s.owner.at; at != gone && (at != receiving || s.length > 0) {
		return "the owner waits for ever"
	}
	return ""
}

// explain says where the longest order ends.
func (c *checker) explain() string {
	p := &c.best
	var text strings.Builder
	fmt.Fprintf(&text, "no order of the %d steps is a run of the model: the longest has %d.", c.events, p.steps())
	if p.steps() == c.events {
		fmt.Fprintf(&text, " There %s.", c.waiting(&p.state))
	}
	text.WriteString(" Then:\n")
	s := &p.state
	fmt.Fprintf(&text, "  phase %s, done %t, inbox [%s]\n", phases[s.phase], s.done, s.listed())
	for r := range uint8(maxRequests + 1) {
		if p.calls[r] != 0 {
			fmt.Fprintf(&text, "  r%d %s, its answer %s\n", r, claims[s.requests[r].claim], answers[s.requests[r].answer])
		}
	}
	for i := range processes {
		if i <= c.Callers || i >= int(closerOf) && i < int(closerOf)+c.Closers {
			fmt.Fprintf(&text, "  %-9s %s%s\n", c.Who(model.Process(i)), c.wants(p, i), c.could(p, i))
		}
	}
	return text.String()
}

// wants is the next event of a process.
func (c *checker) wants(p *point, i int) string {
	at := int(p.at[i])
	if at == len(c.logs[i]) {
		return "does no more"
	}
	e := &c.logs[i][at]
	text := e.What
	if r := slices.Index(p.calls[:], e.call); r > 0 {
		text += fmt.Sprintf(", r%d", r)
	} else if e.call != 0 && e.Request == nil {
		text += ", one that nobody has"
	}
	if e.Result != "" {
		text += fmt.Sprintf(", %q", e.Result)
	}
	return text
}

// could says what the model lets a process do instead.
func (c *checker) could(p *point, i int) string {
	if _, ok := c.step(p, i); ok {
		return ""
	}
	if at := int(p.at[i]); at < len(c.logs[i]) {
		e := &c.logs[i][at]
		if why := c.early(p, e); why != "" {
			return " ◄ " + why
		}
		if slices.ContainsFunc(p.calls[:], func(call uint16) bool { return e.Request != nil && c.requests[call] == e.Request }) {
			return " ◄ its request is not free"
		}
	}
	var texts []string
	for _, move := range c.moves(&p.state, i) {
		if !slices.Contains(texts, move.What) {
			texts = append(texts, move.What)
		}
	}
	if len(texts) == 0 {
		return " ◄ the model: nothing"
	}
	return " ◄ the model: " + strings.Join(texts, "; ")
}
