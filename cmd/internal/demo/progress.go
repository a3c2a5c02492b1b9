package demo

import (
	"fmt"
	"io"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/term"
)

// showProgress writes how far the workload is, and how fast since the last time, until
// stop is called. On a terminal that can it rewrites one line. Anywhere else it writes a line a
// second. Between these lines it writes the events.
func showProgress(w io.Writer, t *tally) (stop func()) {
	every, before, after := time.Second, "", "\n"
	if t, ok := w.(interface{ Terminal() bool }); ok && t.Terminal() {
		every, before, after = 200*time.Millisecond, "\r\x1b[K", ""
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
