// Package demo drives agent runtimes through a store, and checks that it holds
// what it has acknowledged. The store is in memory, on a journal, or spread over a
// cluster whose members and servers fail meanwhile.
package demo

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// Settings are what a demo is asked to do.
type Settings struct {
	Runtimes  int           // up to MaxRuntimes
	Turns     int           // of each runtime, in earlier processes too; 0 means no limit
	Callers   int           // goroutines that share the runtimes
	Duration  time.Duration // of the workload; 0 means no limit
	Members   int           // of the cluster; 0 means one store, in this process
	Journal   string        // the directory that keeps the store; empty means in memory
	Export    string        // the file that the store is exported to at the end, if not empty
	Documents Documents     // what the conversations are made of
}

// A Demo is an open store and what is to be done with it. Start makes one, Close
// ends it.
type Demo struct {
	settings Settings
	loop     *loopstore.Loop // nil on a cluster
	crew     *crew           // nil without one
}

// MaxRuntimes is how many runtimes there may be. Each keeps its snapshot three
// times, which takes some 100 KB.
const MaxRuntimes = 10_000

// partition is the one that the demo uses in a journal: one of its own, so that it
// never touches anybody else's runtimes.
const partition = "demo"

// Start opens the store. Nothing is left open after an error.
func Start(ctx context.Context, s Settings, progress io.Writer) (*Demo, error) {
	d := &Demo{settings: s}
	var err error
	if s.Members > 0 {
		term.Say(progress, "starting %s on %d NATS servers\n", term.Counted(int64(s.Members), "member"), crewServers)
		d.crew, err = newCrew(ctx, s.Members)
		return d, err
	}
	if s.Journal == "" {
		d.loop = loopstore.New(loopstore.Options{})
		return d, nil
	}
	d.loop, err = loopstore.Open(ctx, disk.New(s.Journal, disk.Options{}), partition, loopstore.Options{})
	return d, err
}

// Loop returns the store, or nil on a cluster. It ends with the demo.
func (d *Demo) Loop() *loopstore.Loop { return d.loop }

// Close closes the store, on a cluster all members and servers.
func (d *Demo) Close() error {
	if d.crew != nil {
		return d.crew.close()
	}
	return d.loop.Close()
}

// Run goes on with the runtimes that the store holds, lets them take turns until
// these, the time or ctx end, and checks everything. It is called once.
func (d *Demo) Run(ctx context.Context, progress io.Writer) *Report {
	if d.crew != nil {
		return d.onCluster(ctx, progress)
	}
	w, c := newWorkload(d.settings, func(int) store.RuntimeStore { return d.loop }), newChecker(d.loop)
	found, err := w.adopt(context.WithoutCancel(ctx), d.loop, c)
	if d.settings.Journal != "" {
		term.Say(progress, "%s\n", found)
	}
	if err != nil {
		r := newReport(w, c, 0)
		r.noteJournal(d.loop.Stats().Journal, w, found)
		r.fail(err)
		return r
	}
	elapsed, err := d.work(ctx, w, progress)
	r := w.check(ctx, c, elapsed, err)
	r.noteJournal(d.loop.Stats().Journal, w, found)
	if file := d.settings.Export; file != "" {
		if err := d.loop.ExportFile(context.WithoutCancel(ctx), file); err != nil {
			r.fail(err)
		} else {
			term.Say(progress, "exported to %s: see loopstore verify and inspect\n", file)
		}
	}
	return r
}

// work runs the workload until its turns or its time end.
func (d *Demo) work(ctx context.Context, w *workload, progress io.Writer) (elapsed time.Duration, err error) {
	timed, cancel := ctx, context.CancelFunc(func() {})
	if d.settings.Duration > 0 {
		timed, cancel = context.WithTimeout(ctx, d.settings.Duration)
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
