package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// demo is the subcommand.
func demo(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	files, err := s.parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		say(stderr, "loopstore demo: %v\n\"loopstore demo -h\" lists the flags\n", err)
		return exitUsage
	}
	documents, err := readDocuments(files)
	if err != nil {
		say(stderr, "loopstore demo: %v\n", err)
		return exitUsage
	}
	for _, note := range s.notes {
		say(stderr, "note: %s\n", note)
	}
	progress := stderr
	if s.quiet {
		progress = io.Discard
	}
	if s.cluster > 0 {
		return s.onCluster(ctx, documents, progress, stdout, stderr)
	}
	return s.onLoop(ctx, documents, len(files) == 0, progress, stdout, stderr)
}

// onLoop is the demo on one loop, in memory or with a journal.
func (s settings) onLoop(ctx context.Context, documents []*document, own bool, progress, stdout, stderr io.Writer) int {
	loop, err := s.open(ctx)
	if err != nil {
		say(stderr, "loopstore demo: %v\n", err)
		return interruptedOr(ctx, exitFailed)
	}
	site, err := openSite(s.http, loop, own && s.journal == "", stderr)
	if err != nil {
		say(stderr, "loopstore demo: %v\n", errors.Join(err, loop.Close()))
		return exitFailed
	}
	r := s.drive(ctx, loop, documents, progress)
	if err := errors.Join(s.write(r, stdout), site.stay(ctx, stderr), loop.Close()); err != nil {
		say(stderr, "loopstore demo: %v\n", err)
		return exitFailed
	}
	return r.exitCode()
}

func (s settings) write(r *report, w io.Writer) error {
	if s.json {
		return r.writeJSON(w)
	}
	return r.writeTable(w)
}

// drive takes up what the store holds, runs the workload and checks it all.
func (s settings) drive(ctx context.Context, loop *loopstore.Loop, documents []*document, progress io.Writer) *report {
	w, c := newWorkload(s, func(int) store.RuntimeStore { return loop }, documents), newChecker(loop)
	found, err := w.adopt(context.WithoutCancel(ctx), loop, c, documents)
	if s.journal != "" {
		say(progress, "%s\n", found)
	}
	if err != nil {
		r := newReport(w, c, documents, 0)
		r.noteJournal(loop.Stats().Journal, w, found)
		r.fail(err)
		return r
	}
	elapsed, err := s.work(ctx, w, progress)
	r := w.check(ctx, c, documents, elapsed, err)
	r.noteJournal(loop.Stats().Journal, w, found)
	if s.export != "" {
		if err := loop.ExportFile(context.WithoutCancel(ctx), s.export); err != nil {
			r.fail(err)
		} else {
			say(progress, "exported to %s: see loopstore verify and inspect\n", printable(s.export))
		}
	}
	return r
}

// check checks all that was done in a time, and reports it with the error that
// ended it.
func (w *workload) check(ctx context.Context, c *checker, documents []*document, elapsed time.Duration, err error) *report {
	heap, start := liveHeap(), time.Now()
	c.all(context.WithoutCancel(ctx), w.agents)
	r := newReport(w, c, documents, elapsed)
	r.HeapBytes, r.CheckElapsed = heap, time.Since(start)
	if ctx.Err() != nil {
		r.interrupt(context.Cause(ctx))
	}
	r.fail(err)
	if r.Turns == 0 && err == nil && !w.allOver() {
		r.fail(fmt.Errorf("nothing was done: no turn ended in %s", brief(elapsed)))
	}
	return r
}

// work runs the workload until its turns or its time end.
func (s settings) work(ctx context.Context, w *workload, progress io.Writer) (elapsed time.Duration, err error) {
	timed, cancel := ctx, context.CancelFunc(func() {})
	if s.duration > 0 {
		timed, cancel = context.WithTimeout(ctx, s.duration)
	}
	defer cancel()
	stop := showProgress(progress, &w.tally)
	start := time.Now()
	err = w.run(timed)
	elapsed = time.Since(start)
	stop()
	if ctx.Err() != nil {
		say(progress, "interrupted; checking what was done\n")
	}
	return elapsed, err
}

// liveHeap returns how many bytes the heap holds.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
