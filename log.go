package loopstore

import (
	"context"
	"errors"
	"log/slog"

	"github.com/loopstore/loopstore/store"
)

// What Options.Logger is told. All of it runs on callers' goroutines, when
// nobody waits for them any more.

// log drops a panic of the logger: the call that it speaks of has its outcome.
func (l *Loop) log(level slog.Level, message string, attrs ...slog.Attr) {
	if l.logger == nil {
		return
	}
	defer func() { _ = recover() }()
	l.logger.LogAttrs(context.Background(), level, message, attrs...)
}

func (l *Loop) logStart() {
	l.log(slog.LevelInfo, "store started", slog.Int("inbox_size", cap(l.inbox)))
}

func (l *Loop) logClose() {
	if l.logger == nil {
		return
	}
	s := l.Stats()
	var all Operations
	for _, of := range s.Operations {
		all.Done += of.Done
		all.Errors += of.Errors
	}
	l.log(slog.LevelInfo, "store closed", slog.Duration("uptime", s.Uptime),
		slog.Uint64("done", all.Done), slog.Uint64("errors", all.Errors),
		slog.Int("runtimes", s.Held.Runtimes), slog.Int64("bytes", s.Held.Bytes()))
}

// logCall tells of a call that the owner has answered, if it was slow or the
// last.
func (l *Loop) logCall(s sample, t timing, op operation, err error) {
	if failure, ok := err.(*store.PanicError); ok {
		l.logFailure(failure)
		return
	}
	if errors.Is(err, store.ErrOutcomeUnknown) {
		l.logFailure(l.failure.Load().error)
		return
	}
	prepared := t.sent - t.called
	if l.slow <= 0 || s.standsFor == 0 || prepared+t.waited+t.took < l.slow {
		return
	}
	level := slog.LevelWarn
	if prepared+t.took < l.slow {
		level = slog.LevelInfo // another one made it wait
	}
	id, _ := op.Runtime()
	l.log(level, "slow operation", slog.String("operation", s.kind.String()), slog.String("runtime_id", string(id)),
		slog.Duration("prepared", prepared), slog.Duration("waited", t.waited), slog.Duration("took", t.took), slog.Bool("done", err == nil))
}

// logFailure tells once of what ended the store.
func (l *Loop) logFailure(err error) {
	if !l.toldFailure.CompareAndSwap(false, true) {
		return
	}
	if p, ok := errors.AsType[*store.PanicError](err); ok {
		l.log(slog.LevelError, "store failed", slog.String("panic", p.Value), slog.String("stack", p.Stack))
		return
	}
	l.log(slog.LevelError, "store failed", slog.String("error", err.Error()))
}
