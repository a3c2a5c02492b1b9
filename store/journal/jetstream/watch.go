package jetstream

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/store/journal"
)

// lookEvery is how often a watch looks, so that a change is noticed within a minute.
const lookEvery = 45 * time.Second

// A watch looks at the streams of the open journals, and tells the logger of what is
// not as it should be. It has a goroutine while there is an open journal and a logger.
type watch struct {
	mu    sync.Mutex
	every time.Duration       // 0 means lookEvery
	said  map[*partition]told // of the open journals
	stop  context.CancelFunc  // ends the goroutine
	ended chan struct{}       // closed when it has
}

// add begins to watch a journal's stream.
func (w *watch) add(p *partition) {
	if p.engine.options.Logger == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said == nil {
		w.said = map[*partition]told{}
	}
	w.said[p] = told{}
	if w.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		w.stop, w.ended = stop, make(chan struct{})
		go w.run(ctx, w.ended, p.engine)
	}
}

// remove ends that. When it was the last journal, the goroutine has ended.
func (w *watch) remove(p *partition) {
	w.mu.Lock()
	delete(w.said, p)
	var ended chan struct{}
	if len(w.said) == 0 && w.stop != nil {
		w.stop()
		ended, w.stop = w.ended, nil
	}
	w.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

func (w *watch) run(ctx context.Context, ended chan struct{}, e *Engine) {
	defer close(ended)
	w.mu.Lock()
	every := w.every
	w.mu.Unlock()
	if every == 0 {
		every = lookEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for w.lookAtAll(ctx, e); ; w.lookAtAll(ctx, e) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lookAtAll looks at some streams at a time, so that one whose servers do not answer
// holds up few others.
func (w *watch) lookAtAll(ctx context.Context, e *Engine) {
	w.mu.Lock()
	all := slices.Collect(maps.Keys(w.said))
	w.mu.Unlock()
	var looking errgroup.Group
	looking.SetLimit(8)
	for _, p := range all {
		looking.Go(func() error {
			select {
			case <-ctx.Done():
			case <-p.fenced:
			default:
				w.look(ctx, e, p)
			}
			return nil
		})
	}
	_ = looking.Wait()
}

// look asks for a stream, and logs what is new since the last time. Servers that do not
// answer are another's business.
func (w *watch) look(ctx context.Context, e *Engine, p *partition) {
	now, err := p.findings(ctx)
	if err != nil {
		return
	}
	w.mu.Lock()
	before, open := w.said[p]
	if open {
		w.said[p] = tellable(now)
	}
	w.mu.Unlock()
	if open {
		e.tell(p.name, before, now)
	}
}

// findings asks for the stream of an open journal, and judges it.
func (p *partition) findings(ctx context.Context) ([]journal.Finding, error) {
	info, err := p.engine.askStream(ctx, p.name)
	pause := newPause()
	for n := 0; n < 10 && noStream(err) && pause.wait(ctx); n++ { // servers say so too while leaders change
		info, err = p.engine.askStream(ctx, p.name)
	}
	switch {
	case noStream(err):
		return []journal.Finding{{Status: journal.Broken, Setting: "stream", Value: "deleted",
			Advice: "there: what it held is gone, and nothing can be appended"}}, nil
	case err != nil:
		return nil, err
	case !info.Created.Equal(p.created):
		return []journal.Finding{{Status: journal.Broken, Setting: "creation", Value: info.Created.UTC().Format(time.RFC3339Nano),
			Advice: "that of the stream that was opened: it was deleted and created again, and what it held is gone"}}, nil
	}
	return append(p.engine.judge(info), judgeRoom(info)...), nil
}

// A told is what the logger knows of a stream: what is not as it should be.
type told map[finding]bool

// finding is what makes a [journal.Finding] a new one.
type finding struct {
	status  journal.Status
	setting string
}

func tellable(now []journal.Finding) told {
	all := told{}
	for _, f := range now {
		if f.Status != journal.OK {
			all[finding{f.Status, f.Setting}] = true
		}
	}
	return all
}

// tell logs what is new.
func (e *Engine) tell(stream string, before told, now []journal.Finding) {
	for _, f := range now {
		if f.Status == journal.OK || before[finding{f.Status, f.Setting}] {
			continue
		}
		level := slog.LevelWarn
		if f.Status == journal.Broken {
			level = slog.LevelError
		}
		e.log(level, "a stream's setting is not as it should be", slog.String("stream", stream), slog.String("status", f.Status.String()),
			slog.String("setting", f.Setting), slog.String("value", f.Value), slog.String("must_be", f.Advice))
	}
	after := tellable(now)
	for f := range before {
		if !after[f] {
			e.log(slog.LevelInfo, "a stream's setting has changed", slog.String("stream", stream), slog.String("setting", f.setting),
				slog.String("status_before", f.status.String()))
		}
	}
}

// log drops a panic of the logger, which is no reason to end.
func (e *Engine) log(level slog.Level, message string, attrs ...slog.Attr) {
	if e.options.Logger == nil {
		return
	}
	defer func() { _ = recover() }()
	e.options.Logger.LogAttrs(context.Background(), level, message, attrs...)
}
