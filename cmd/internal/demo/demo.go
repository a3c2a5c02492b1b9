// Package demo drives agent runtimes through a store, and checks that it holds
// what it has acknowledged. The store is a loop, in memory or on a journal, or several
// that share the runtimes, and may fail meanwhile.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store"
)

// Settings are what a demo is asked to do.
type Settings struct {
	Runtimes  int           // up to MaxRuntimes
	Turns     int           // of each runtime, in earlier processes too; 0 means no limit
	Callers   int           // goroutines that share the runtimes
	Duration  time.Duration // of the workload; 0 means no limit
	Export    string        // the file that a loop is exported to at the end, if not empty
	Documents Documents     // what the conversations are made of
}

// MaxRuntimes is how many runtimes there may be. Each keeps its snapshot three
// times, which takes some 100 KB.
const MaxRuntimes = 10_000

// Run goes on with the runtimes that a loop holds, lets them take turns until these, the
// time or ctx end, and checks everything. A loop on a journal must hold nobody else's.
func Run(ctx context.Context, s Settings, loop *loopstore.Loop, progress io.Writer) *Report {
	w, c := newWorkload(s, func(int) store.RuntimeStore { return loop }), newChecker(loop)
	found, err := w.adopt(context.WithoutCancel(ctx), loop, c)
	if loop.Stats().Journal != nil {
		term.Say(progress, "%s\n", found)
	}
	if err != nil {
		r := newReport(w, c, 0)
		r.noteJournal(loop.Stats().Journal, w, found)
		r.fail(err)
		return r
	}
	elapsed, err := w.work(ctx, s.Duration, progress)
	r := w.check(ctx, c, elapsed, err)
	r.noteJournal(loop.Stats().Journal, w, found)
	if s.Export != "" {
		if err := loop.ExportFile(context.WithoutCancel(ctx), s.Export); err != nil {
			r.fail(err)
		} else {
			term.Say(progress, "exported to %s: see loopstore verify and inspect\n", s.Export)
		}
	}
	return r
}

// A Stage is where the runtimes are if they are not in one loop.
type Stage interface {
	// Store returns what a caller calls.
	Store(caller int) store.RuntimeStore
	// Play is what happens during the workload, until ctx ends. It says it in lines for
	// the progress.
	Play(ctx context.Context, say func(line string)) error
	// Played returns what has happened, and an error if it was not what a demo is to show.
	Played() (Act, error)
}

// An Act is what has happened on a stage: a part of the report, and of its JSON.
type Act interface {
	String() string // one line
	Table() string
}

// RunOn is Run on a stage.
func RunOn(ctx context.Context, s Settings, stage Stage, progress io.Writer) *Report {
	w := newWorkload(s, stage.Store)
	w.tally.events = make(chan string, 16) // room for all of them, so that nothing waits for a reader
	during, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- stage.Play(during, func(line string) { w.tally.events <- line }) }()
	elapsed, err := w.work(ctx, s.Duration, progress)
	end()
	err = errors.Join(err, <-ended)

	r := w.check(ctx, newChecker(stage.Store(0)), elapsed, err)
	r.Verified = r.Verified[:foundAgain]
	act, err := stage.Played()
	if r.Cluster = act; !r.Interrupted {
		r.fail(err)
	}
	return r
}

// work runs the workload until its turns, the time, if there is any, or ctx end.
func (w *workload) work(ctx context.Context, limit time.Duration, progress io.Writer) (elapsed time.Duration, err error) {
	timed, cancel := ctx, context.CancelFunc(func() {})
	if limit > 0 {
		timed, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	stop := showProgress(progress, &w.tally)
	start := time.Now()
	err = w.run(timed)
	elapsed = time.Since(start)
	stop()
	if ctx.Err() != nil {
		term.Say(progress, "interrupted; checking what was done\n")
	}
	return elapsed, err
}

// check checks all that was done, and reports it with the error that ended the
// workload.
func (w *workload) check(ctx context.Context, c *checker, elapsed time.Duration, err error) *Report {
	heap, start := liveHeap(), time.Now()
	c.all(context.WithoutCancel(ctx), w.agents)
	r := newReport(w, c, elapsed)
	r.HeapBytes, r.CheckElapsed, r.Interrupted = heap, time.Since(start), ctx.Err() != nil
	r.fail(err)
	if r.Turns == 0 && err == nil && !w.allOver() {
		r.fail(fmt.Errorf("nothing was done: no turn ended in %s", term.Brief(elapsed)))
	}
	return r
}

// liveHeap returns how many bytes the heap holds.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
