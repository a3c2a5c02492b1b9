package jetstream

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// lookEvery is how often a watch looks, so that a change is noticed within a minute.
const lookEvery = 45 * time.Second

// A watch looks at the streams of the open journals, and tells the logger of what is
// not as it should be. It has a goroutine while there is an open journal and a logger.
type watch struct {
	mu    sync.Mutex
	every time.Duration                   // 0 means lookEvery
	said  map[*partition]map[finding]bool // of the open journals: what the logger knows
	stop  context.CancelFunc              // ends the goroutine
	ended chan struct{}                   // closed when it has
}

// finding is what makes a [journal.Finding] a new one.
type finding struct {
	status  journal.Status
	setting string
}

// add begins to watch a journal's stream.
func (w *watch) add(p *partition) {
	if p.engine.options.Logger == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said == nil {
		w.said = map[*partition]map[finding]bool{}
	}
	w.said[p] = map[finding]bool{}
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

func (w *watch) lookAtAll(ctx context.Context, e *Engine) {
	w.mu.Lock()
	all := make([]*partition, 0, len(w.said))
	for p := range w.said {
		all = append(all, p)
	}
	w.mu.Unlock()
	for _, p := range all {
		select {
		case <-ctx.Done():
			return
		case <-p.fenced:
		default:
			w.look(ctx, e, p)
		}
	}
}

// look asks for a stream, and logs what is new since the last time. Servers that do not
// answer are another's business.
func (w *watch) look(ctx context.Context, e *Engine, p *partition) {
	info, err := e.askStream(ctx, p.name)
	var now []journal.Finding
	switch {
	case noStream(err):
		now = []journal.Finding{{Status: journal.Broken, Setting: "stream", Value: "deleted", Advice: "there: all that was stored is gone, and nothing more can be"}}
	case err != nil:
		return
	case !info.Created.Equal(p.created):
		now = []journal.Finding{{Status: journal.Broken, Setting: "stream", Value: "deleted and created again", Advice: "the one that was opened: what that one held is gone"}}
	default:
		now = append(e.judge(info), judgeRoom(info)...)
	}
	w.mu.Lock()
	before, open := w.said[p]
	after := map[finding]bool{}
	for _, f := range now {
		after[finding{f.Status, f.Setting}] = true
	}
	if open {
		w.said[p] = after
	}
	w.mu.Unlock()
	if !open {
		return
	}
	for _, f := range now {
		if !before[finding{f.Status, f.Setting}] && f.Status != journal.OK {
			level := slog.LevelWarn
			if f.Status == journal.Broken {
				level = slog.LevelError
			}
			e.log(level, "a stream's setting is not as it should be", slog.String("stream", p.name), slog.String("status", f.Status.String()),
				slog.String("setting", f.Setting), slog.String("value", f.Value), slog.String("must_be", f.Advice))
		}
	}
	for f := range before {
		if f.status != journal.OK && !after[f] {
			e.log(slog.LevelInfo, "a stream's setting has changed", slog.String("stream", p.name), slog.String("setting", f.setting),
				slog.String("status_before", f.status.String()))
		}
	}
}

// log drops a panic of the logger, which is no reason to end.
func (e *Engine) log(level slog.Level, message string, attrs ...slog.Attr) {
	defer func() { _ = recover() }()
	e.options.Logger.LogAttrs(context.Background(), level, message, attrs...)
}
