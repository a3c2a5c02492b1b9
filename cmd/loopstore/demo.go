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
	if s.note != "" {
		say(stderr, "note: %s\n", s.note)
	}
	progress := stderr
	if s.quiet {
		progress = io.Discard
	}
	loop, err := s.open(ctx)
	if err != nil {
		say(stderr, "loopstore demo: %v\n", err)
		return interruptedOr(ctx, exitFailed)
	}
	site, err := openSite(s.http, loop, len(files) == 0 && s.journal == "", stderr)
	if err != nil {
		say(stderr, "loopstore demo: %v\n", errors.Join(err, loop.Close()))
		return exitFailed
	}
	r := s.drive(ctx, loop, documents, progress)
	write := r.writeTable
	if s.json {
		write = r.writeJSON
	}
	if err := errors.Join(write(stdout), site.stay(ctx, stderr), loop.Close()); err != nil {
		say(stderr, "loopstore demo: %v\n", err)
		return exitFailed
	}
	return r.exitCode()
}

// drive takes up what the store holds, runs the workload and checks it all.
func (s settings) drive(ctx context.Context, loop *loopstore.Loop, documents []*document, progress io.Writer) *report {
	w, c := newWorkload(s, loop, documents), newChecker(loop)
	found, err := w.adopt(context.WithoutCancel(ctx), c, documents)
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
	heap, stats, start := liveHeap(), loop.Stats(), time.Now()
	c.all(context.WithoutCancel(ctx), w.agents)

	r := newReport(w, c, documents, elapsed)
	r.HeapBytes, r.CheckElapsed = heap, time.Since(start)
	r.noteJournal(stats.Journal, w, found)
	if ctx.Err() != nil {
		r.interrupt(context.Cause(ctx))
	}
	r.fail(err)
	if r.Turns == 0 && err == nil && !w.allOver() {
		r.fail(fmt.Errorf("nothing was done: no turn ended in %s", brief(elapsed)))
	}
	if s.export != "" {
		if err := loop.ExportFile(context.WithoutCancel(ctx), s.export); err != nil {
			r.fail(err)
		} else {
			say(progress, "exported to %s: see loopstore verify and inspect\n", printable(s.export))
		}
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
