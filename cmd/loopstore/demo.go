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
	loop := loopstore.New(loopstore.Options{})
	site, err := openSite(s.http, loop, len(files) == 0, stderr)
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

// drive runs the workload and checks it.
func (s settings) drive(ctx context.Context, loop *loopstore.Loop, documents []*document, progress io.Writer) *report {
	w := newWorkload(s, loop, documents)

	timed, cancel := ctx, context.CancelFunc(func() {})
	if s.duration > 0 {
		timed, cancel = context.WithTimeout(ctx, s.duration)
	}
	defer cancel()
	stop := showProgress(progress, &w.tally)
	start := time.Now()
	err := w.run(timed)
	elapsed := time.Since(start)
	stop()

	interrupted := ctx.Err() != nil
	if interrupted {
		say(progress, "interrupted; checking what was done\n")
	}
	heap := liveHeap()
	start = time.Now()
	c := newChecker(loop)
	c.all(context.WithoutCancel(ctx), w.agents)
	checkElapsed := time.Since(start)

	r := newReport(w, c, documents, elapsed)
	r.HeapBytes, r.CheckElapsed = heap, checkElapsed
	if interrupted {
		r.interrupt(context.Cause(ctx))
	}
	r.fail(err)
	if r.Turns == 0 && err == nil {
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

// liveHeap returns how many bytes the heap holds.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
