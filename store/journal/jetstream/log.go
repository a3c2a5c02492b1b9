package jetstream

import (
	"context"
	"log/slog"
)

// log logs a message. A panic of the logger is dropped: the journal goes on.
func (e *Engine) log(level slog.Level, message string, args ...any) {
	if e.options.Logger == nil {
		return
	}
	defer func() { _ = recover() }()
	e.options.Logger.Log(context.Background(), level, message, args...)
}
