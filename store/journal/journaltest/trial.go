package journaltest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store/journal"
)

// A trial tests one promise on an engine of its own. Its methods fail the test if
// a call that must succeed does not.
type trial struct {
	*testing.T
	factory Factory
	before  goleak.Option // ignores the goroutines that ran before any trial
	ctx     context.Context
	engine  journal.Engine
	opened  []journal.Journal
}

// try tests a promise, and closes all journals that it opened.
func try(t *testing.T, f Factory, before goleak.Option, p promise) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), f.Timeout)
	defer cancel()
	tr := &trial{T: t, factory: f, before: before, ctx: ctx, engine: f.Open(t)}
	require.NotNil(t, tr.engine, "the Factory returned no engine")
	defer tr.closeAll()
	p.try(tr)
}

func (tr *trial) closeAll() {
	tr.Helper()
	for _, j := range slices.Backward(tr.opened) {
		if err := j.Close(context.WithoutCancel(tr.ctx)); err != nil {
			tr.Errorf("Close: %v", err)
		}
	}
	tr.opened = nil
}

// contents are what stands: values by keys.
type contents map[string]string

// differ says how two contents differ, "" if they do not. It cuts long keys and
// values.
func (want contents) differ(got contents) string {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		value, ok := got[key]
		if !ok {
			return fmt.Sprintf("the key %.40q is missing", key)
		}
		if value != want[key] {
			return fmt.Sprintf("the key %.40q has %.40q (%d bytes), not %.40q (%d bytes)", key, value, len(value), want[key], len(want[key]))
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			return fmt.Sprintf("the key %.40q should be absent", key)
		}
	}
	return ""
}

// collect returns an emit that checks the order, and puts all keys into c.
func (tr *trial) collect(c contents) func(journal.Change) error {
	var last []byte
	return func(change journal.Change) error {
		tr.Helper()
		if change.Delete {
			tr.Errorf("emit got a deleted key: %.40q", change.Key)
		}
		if len(c) > 0 && bytes.Compare(last, change.Key) >= 0 {
			tr.Errorf("emit got %.40q after %.40q", change.Key, last)
		}
		last = bytes.Clone(change.Key)
		c[string(change.Key)] = string(change.Value)
		return nil
	}
}

// tryOpen opens a partition, and returns what stands in it.
func (tr *trial) tryOpen(partition string) (journal.Journal, contents, error) {
	tr.Helper()
	all := contents{}
	j, err := tr.engine.Open(tr.ctx, partition, tr.collect(all))
	if err == nil {
		require.NotNil(tr, j, "Open returned neither a journal nor an error")
		tr.opened = append(tr.opened, j)
	}
	return j, all, err
}

// open opens a partition in which want stands.
func (tr *trial) open(partition string, want contents) journal.Journal {
	tr.Helper()
	j, got, err := tr.tryOpen(partition)
	require.NoError(tr, err, "Open")
	require.Empty(tr, want.differ(got))
	return j
}

// reopen closes all journals, and goes on with an engine on what was stored.
func (tr *trial) reopen() {
	tr.Helper()
	tr.closeAll()
	if tr.factory.Reopen != nil {
		tr.engine = tr.factory.Reopen(tr.T, tr.engine)
	}
}

// crash abandons all journals, and goes on with an engine on what was stored.
func (tr *trial) crash() {
	tr.Helper()
	if tr.factory.Crash != nil {
		tr.engine = tr.factory.Crash(tr.T, tr.engine)
	}
}

// stands reopens the engine, and checks what stands in a partition.
func (tr *trial) stands(partition string, want contents) journal.Journal {
	tr.Helper()
	tr.reopen()
	return tr.open(partition, want)
}

func put(key, value string) journal.Change {
	return journal.Change{Key: []byte(key), Value: []byte(value)}
}

func del(key string) journal.Change { return journal.Change{Key: []byte(key), Delete: true} }

// batch returns a batch with an ID of its own.
func batch(changes ...journal.Change) journal.Batch {
	b := journal.Batch{Changes: changes}
	_, _ = rand.Read(b.ID[:])
	return b
}

func (tr *trial) append(j journal.Journal, changes ...journal.Change) journal.Position {
	tr.Helper()
	return tr.appendBatch(j, batch(changes...))
}

func (tr *trial) appendBatch(j journal.Journal, b journal.Batch) journal.Position {
	tr.Helper()
	at, err := j.Append(tr.ctx, b)
	require.NoError(tr, err, "Append")
	return at
}

// noise returns n bytes that look random, the same ones for the same seed.
func noise(seed uint64, n int) string {
	out := make([]byte, 0, n+8)
	for len(out) < n {
		seed = seed*6364136223846793005 + 1442695040888963407
		out = binary.LittleEndian.AppendUint64(out, seed^seed>>29)
	}
	return string(out[:n])
}

func isRejected(err error) bool { return errors.Is(err, journal.ErrRejected) }
func isFenced(err error) bool   { return errors.Is(err, journal.ErrFenced) }
func isEnded(err error) bool    { return errors.Is(err, context.Canceled) }

// endedCtx returns a context that has already ended.
func (tr *trial) endedCtx() context.Context {
	ctx, cancel := context.WithCancel(tr.ctx)
	cancel()
	return ctx
}
