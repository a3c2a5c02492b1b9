package demo

import (
	"fmt"
	"io"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/term"
)

// again clears a terminal's line, to be written again.
const again = "\r\x1b[K"

func isTerminal(w io.Writer) bool {
	t, ok := w.(interface{ Terminal() bool })
	return ok && t.Terminal()
}

// A Line is one that changes: on a terminal it is written over, anywhere else each time in
// a line of its own.
type Line struct {
	w        io.Writer
	terminal bool
}

// NewLine returns a Line, in which nothing stands yet.
func NewLine(w io.Writer) Line { return Line{w, isTerminal(w)} }

// Show shows a text in the line.
func (l Line) Show(text string) {
	if l.terminal {
		_, _ = fmt.Fprint(l.w, again, text)
	} else {
		_, _ = fmt.Fprintln(l.w, text)
	}
}

// Clear leaves nothing in the line.
func (l Line) Clear() {
	if l.terminal {
		_, _ = fmt.Fprint(l.w, again)
	}
}

// showProgress writes how far the workload is, and how fast since the last time, until
// stop is called. On a terminal that can it rewrites one line. Anywhere else it writes a line a
// second. Between these lines it writes the events.
func showProgress(w io.Writer, t *tally) (stop func()) {
	every, before, after := time.Second, "", "\n"
	if isTerminal(w) {
		every, before, after = 200*time.Millisecond, again, ""
	}
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		start := time.Now()
		shown, shownAt := int64(0), start
		for {
			select {
			case <-ticker.C:
				now, operations := time.Now(), t.operations.Load()
				_, _ = fmt.Fprintf(w, "%s%5.1fs  %s turns, %s operations, now %s per second%s", before, now.Sub(start).Seconds(),
					term.Grouped(t.turns.Load()), term.Grouped(operations), term.Grouped(perSecond(operations-shown, now.Sub(shownAt))), after)
				shown, shownAt = operations, now
			case event := <-t.events:
				_, _ = fmt.Fprintf(w, "%s%5.1fs  %s\n", before, time.Since(start).Seconds(), event)
			case <-ended:
				_, _ = fmt.Fprint(w, before) // clears the terminal's line
				return
			}
		}
	}()
	return func() {
		close(ended)
		<-stopped
	}
}
