package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/ops"
)

// A Place shows what changes: on a terminal it is written over, anywhere else what comes
// next is below it.
type Place struct {
	w        io.Writer
	terminal bool
	shown    string
}

// NewPlace returns a Place, in which nothing stands yet.
func NewPlace(w io.Writer) *Place {
	t, ok := w.(interface{ Terminal() bool })
	return &Place{w: w, terminal: ok && t.Terminal()}
}

// Say writes a line that stays, above the place.
func (p *Place) Say(line string) {
	shown := p.shown
	p.Clear()
	p.Show(line + "\n")
	if p.shown = ""; p.terminal {
		p.Show(shown)
	}
}

// Clear leaves nothing in the place.
func (p *Place) Clear() {
	if p.terminal && p.shown != "" {
		p.Show("")
	}
}

// Show writes a text in the place of the one before, in one call. It ignores errors: if the
// terminal is gone, nobody is left to tell.
func (p *Place) Show(text string) {
	over := ""
	if p.terminal && p.shown != "" {
		if up := strings.Count(p.shown, "\n"); up > 0 {
			over = fmt.Sprintf("\x1b[%dA", up)
		}
		over += "\r\x1b[J"
	}
	_, _ = io.WriteString(p.w, over+text)
	p.shown = text
}

// showProgress writes how far the workload is, and how fast since the last time, until
// stop is called. On a terminal that can it is a table, which is written over. Anywhere else
// it is a line a second. The events are lines that stay.
func showProgress(w io.Writer, t *tally) (stop func()) {
	place, every := NewPlace(w), time.Second
	if place.terminal {
		every = 200 * time.Millisecond
	}
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		start := time.Now()
		last := count{at: start}
		for {
			select {
			case now := <-ticker.C:
				next := t.read(now)
				if place.terminal {
					place.Show(next.table(now.Sub(start), last))
				} else {
					place.Show(next.line(now.Sub(start), last) + "\n")
				}
				last = next
			case event := <-t.events:
				place.Say(fmt.Sprintf("%5.1fs  %s", time.Since(start).Seconds(), event))
			case <-ended:
				place.Clear()
				return
			}
		}
	}()
	return func() {
		close(ended)
		<-stopped
	}
}

// A count is a tally at one time.
type count struct {
	at         time.Time
	turns, all int64
	operations [ops.NumKinds]int64
}

func (t *tally) read(now time.Time) (c count) {
	c.at, c.turns = now, t.turns.Load()
	for kind := range t.operations {
		c.operations[kind] = t.operations[kind].Load()
		c.all += c.operations[kind]
	}
	return c
}

func (c *count) line(since time.Duration, last count) string {
	return fmt.Sprintf("%5.1fs  %s turns, %s operations, now %s per second", since.Seconds(),
		term.Grouped(c.turns), term.Grouped(c.all), term.Grouped(perSecond(c.all-last.all, c.at.Sub(last.at))))
}

func (c *count) table(since time.Duration, last count) string {
	var t strings.Builder
	const row = "%-24s %12s %12s\n"
	fmt.Fprintf(&t, "%5.1fs  %s\n\n"+row, since.Seconds(), term.Counted(c.turns, "turn"), "operation", "count", "now a second")
	for kind, n := range c.operations {
		if n > 0 {
			fmt.Fprintf(&t, row, ops.Kind(kind), term.Grouped(n), term.Grouped(perSecond(n-last.operations[kind], c.at.Sub(last.at))))
		}
	}
	fmt.Fprintf(&t, row, "all", term.Grouped(c.all), term.Grouped(perSecond(c.all-last.all, c.at.Sub(last.at))))
	return t.String()
}
