package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

const (
	maxName = 255 // bytes of a stream's name

	lower = "abcdefghijklmnopqrstuvwxyz0123456789-_"
	upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// StreamName returns the name of a partition's stream: the prefix, a dash, and the
// partition's name. Each byte of that but lower-case letters, digits, - and _ stands
// as = and two hexadecimal digits, so that no two names are alike on any file system.
func (e *Engine) StreamName(partition string) (string, error) {
	var b strings.Builder
	b.WriteString(e.options.Prefix + "-")
	for _, c := range []byte(partition) {
		if strings.IndexByte(lower, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02x", c)
		}
	}
	if b.Len() > maxName {
		return "", fmt.Errorf("jetstream: the partition's name is too long: with its %d bytes the stream's name would have %d, the limit is %d",
			len(partition), b.Len(), maxName)
	}
	return b.String(), nil
}

// plainName reports whether a name consists of letters, digits, - and _.
func plainName(s string) bool { return s != "" && strings.Trim(s, lower+upper) == "" }

// subject is where the entries of a stream are published.
func subject(stream string) string { return stream + ".record" }

// holderSubject is where its holders announce themselves. The stream does not keep
// that.
func holderSubject(stream string) string { return stream + ".owner" }

// config is the configuration of a new stream.
func (e *Engine) config(name string) js.StreamConfig {
	return js.StreamConfig{
		Name: name, Description: "loopstore journal", Subjects: []string{subject(name)},
		Retention: js.LimitsPolicy, Discard: js.DiscardNew, Storage: js.FileStorage, Replicas: e.options.Replicas,
		DenyDelete: true, AllowDirect: true, AllowAtomicPublish: true,
	}
}

// stream returns a partition's stream, a new one if there is none.
func (e *Engine) stream(ctx context.Context, name string) (js.Stream, error) {
	stream, err := persist(ctx, e, func(ctx context.Context) (js.Stream, error) {
		stream, err := e.js.Stream(ctx, name)
		if errors.Is(err, js.ErrStreamNotFound) {
			return e.js.CreateStream(ctx, e.config(name))
		}
		return stream, err
	})
	if err != nil {
		return nil, err
	}
	for _, f := range e.judge(stream.CachedInfo().Config) {
		if f.Status == journal.Broken {
			return nil, fmt.Errorf("its %s is %s: %s", f.Setting, f.Value, f.Advice)
		}
	}
	return stream, nil
}

// judge checks the settings of a stream. A broken one would lose entries, or make
// them useless.
func (e *Engine) judge(c js.StreamConfig) (all []journal.Finding) {
	must := func(ok bool, setting string, value any, advice string) {
		all = append(all, journal.Finding{Status: status(ok, journal.Broken), Setting: setting, Value: fmt.Sprint(value), Advice: advice})
	}
	must(c.Storage == js.FileStorage, "storage", c.Storage, "file, or a restart loses everything")
	must(c.Replicas >= e.options.Replicas, "replicas", c.Replicas, fmt.Sprintf("at least %d, as the engine's options say", e.options.Replicas))
	must(c.Retention == js.LimitsPolicy, "retention", c.Retention, "limits, or reading removes entries")
	must(c.MaxMsgs <= 0 && c.MaxBytes <= 0 && c.MaxMsgsPerSubject <= 0 || c.Discard == js.DiscardNew, "discard", c.Discard,
		"new where there are limits, or entries vanish")
	must(c.MaxMsgsPerSubject <= 0, "max messages per subject", c.MaxMsgsPerSubject, "none, or entries vanish")
	must(c.MaxAge == 0, "max age", c.MaxAge, "none, or entries vanish")
	must(c.PersistMode == js.DefaultPersistMode, "persist mode", c.PersistMode, "default, or acknowledged batches may be lost with a server")
	must(c.AllowDirect, "allow direct", c.AllowDirect, "true, or a journal cannot be read")
	must(c.AllowAtomicPublish, "allow atomic", c.AllowAtomicPublish, "true, or large batches cannot be stored")
	must(!c.Sealed, "sealed", c.Sealed, "false, or nothing can be appended")
	return all
}
