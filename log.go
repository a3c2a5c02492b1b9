package loopstore

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/internal/meter"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A logger tells Options.Logger. All of it runs on callers' goroutines, when
// nobody waits for them any more.
type logger struct {
	to         *slog.Logger // nil is silent
	slow       time.Duration
	saidFailed atomic.Bool
}

// log drops a panic of the logger: the call that it speaks of has its outcome.
func (g *logger) log(level slog.Level, message string, attrs ...slog.Attr) {
	if g.to == nil {
		return
	}
	defer func() { _ = recover() }()
	g.to.LogAttrs(context.Background(), level, message, attrs...)
}

func (g *logger) start(l *Loop) {
	g.log(slog.LevelInfo, "store started", slog.Int("inbox_size", cap(l.inbox)))
}

func (g *logger) closed(l *Loop) {
	if g.to == nil {
		return
	}
	s := l.Stats()
	var all Operations
	for _, of := range s.Operations {
		all.Done += of.Done
		all.Errors += of.Errors
	}
	g.log(slog.LevelInfo, "store closed", slog.Duration("uptime", s.Uptime),
		slog.Uint64("done", all.Done), slog.Uint64("errors", all.Errors),
		slog.Int("runtimes", s.Held.Runtimes), slog.Int64("bytes", s.Held.Bytes()))
}

// call logs a call that the owner has answered, if it was slow or the last.
func (g *logger) call(l *Loop, op ops.Operation, s meter.Sample, t meter.Timing, err error) {
	if failure, ok := err.(*store.PanicError); ok {
		g.failed(failure)
		return
	}
	if errors.Is(err, store.ErrOutcomeUnknown) {
		g.failed(l.failure.Load().error)
		return
	}
	prepared := t.Sent - t.Called
	if g.slow <= 0 || !s.Timed() || prepared+t.Waited+t.Took < g.slow {
		return
	}
	level := slog.LevelWarn
	if prepared+t.Took < g.slow {
		level = slog.LevelInfo // another one made it wait
	}
	id, _ := op.Runtime()
	g.log(level, "slow operation", slog.String("operation", s.Kind.String()), slog.String("runtime_id", string(id)),
		slog.Duration("prepared", prepared), slog.Duration("waited", t.Waited), slog.Duration("took", t.Took), slog.Bool("done", err == nil))
}

// failed logs once what ended the store.
func (g *logger) failed(err error) {
	if !g.saidFailed.CompareAndSwap(false, true) {
		return
	}
	if p, ok := errors.AsType[*store.PanicError](err); ok {
		g.log(slog.LevelError, "store failed", slog.String("panic", p.Value), slog.String("stack", p.Stack))
		return
	}
	g.log(slog.LevelError, "store failed", slog.String("error", err.Error()))
}
