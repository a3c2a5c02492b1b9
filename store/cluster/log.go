package cluster

import (
	"context"
	"log/slog"
)

// log tells the logger, on a goroutine that nobody waits for, and drops a panic
// of it.
func (n *Node) log(level slog.Level, message string, attrs ...slog.Attr) {
	if n.opts.Logger == nil {
		return
	}
	defer func() { _ = recover() }()
	attrs = append(attrs, slog.String("cluster", n.opts.Cluster), slog.String("member", n.opts.Self.Name))
	n.opts.Logger.LogAttrs(context.Background(), level, message, attrs...)
}
