package disk_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

var errEnough = errors.New("waited enough")

// soon is a context that ends soon, with errEnough.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Millisecond, errEnough)
	t.Cleanup(cancel)
	return ctx
}

// held makes the first change of the disk wait, of those that what names. It returns when
// that waits, or lets it go on.
func held(t *testing.T, what func(files.Change) bool) (waits, goOn func()) {
	t.Helper()
	began, going := make(chan struct{}), make(chan struct{})
	first := make(chan struct{}, 1)
	hook(t, func(c files.Change) error {
		if what(c) {
			select {
			case first <- struct{}{}:
				close(began)
				<-going
			default:
			}
		}
		return nil
	}, nil)
	return func() { <-began }, func() { close(going) }
}

// endsWith checks that a call waits no longer than its context, whose cause it returns.
func endsWith(t *testing.T, what string, call func(ctx context.Context) error) {
	t.Helper()
	answer := make(chan error, 1)
	ctx := soon(t)
	go func() { answer <- call(ctx) }()
	select {
	case err := <-answer:
		require.ErrorIs(t, err, errEnough, what)
	case <-time.After(10 * time.Second):
		t.Fatal(what, "waits beyond its context")
	}
}

func opening(e *disk.Engine, partition string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := e.Open(ctx, partition, func(journal.Change) error { return nil })
		return err
	}
}

// No call waits beyond its context for what another one does.
func TestAWaitEndsWithItsContext(t *testing.T) {
	t.Run("for another Open", func(t *testing.T) {
		waits, goOn := held(t, func(c files.Change) bool { return c.Op == files.Created })
		e := disk.New(filepath.Join(t.TempDir(), "journal"), disk.Options{})
		var p journal.Journal
		opened := make(chan error, 1)
		go func() {
			var err error
			p, _, err = load(t, e, "p")
			opened <- err
		}()
		waits()
		endsWith(t, "Open", opening(e, "q"))
		goOn()
		require.NoError(t, <-opened)
		q, _, err := load(t, e, "q")
		require.NoError(t, err)
		require.NoError(t, errors.Join(q.Close(t.Context()), p.Close(t.Context())))
	})
	t.Run("for an Append", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "journal")
		e := disk.New(path, disk.Options{})
		j, _, err := load(t, e, "p")
		require.NoError(t, err)
		waits, goOn := held(t, func(c files.Change) bool { return c.Op == files.Written && ofLog(c) })
		appended := make(chan error, 1)
		go func() { appended <- tryAppend(t, j, put("a", "1")) }()
		waits()
		endsWith(t, "Open", opening(e, "q"))
		goOn()
		require.NoError(t, <-appended)
		q, _, err := load(t, e, "q")
		require.NoError(t, err)
		require.EqualValues(t, 1, appendTo(t, q, put("a", "1")).Epoch, "what was withdrawn is not written")
		require.NoError(t, errors.Join(q.Close(t.Context()), j.Close(t.Context())))
		require.Equal(t, contents{"a": "1"}, reload(t, path, disk.Options{}))
	})
	t.Run("for a checkpoint", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "journal")
		e := disk.New(path, disk.Options{})
		j, _, err := load(t, e, "p")
		require.NoError(t, err)
		appendTo(t, j, put("a", strings.Repeat("v", 1000)))
		waits, goOn := held(t, func(c files.Change) bool { return c.Op == files.Committed })
		compacted := make(chan error, 1)
		go func() { compacted <- j.Compact(t.Context(), nil) }()
		waits()
		endsWith(t, "Open", opening(e, "q"))
		endsWith(t, "Compact", func(ctx context.Context) error { return j.Compact(ctx, nil) })
		endsWith(t, "Close", j.Close)
		endsWith(t, "Open after Close", opening(e, "q"))
		_, err = disk.Partitions(t.Context(), path, disk.Options{})
		require.ErrorIs(t, err, journal.ErrInUse)
		goOn()
		require.ErrorIs(t, <-compacted, journal.ErrClosed)
		j, _, err = load(t, e, "p")
		require.NoError(t, err)
		require.NoError(t, j.Close(t.Context()))
	})
	t.Run("not at all", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, open(t, path).Close(t.Context()))
		ctx := soon(t)
		<-ctx.Done()
		_, err := disk.Partitions(ctx, path, disk.Options{})
		require.ErrorIs(t, err, errEnough)
		_, err = disk.Read(ctx, path, "p", disk.Options{}, nil)
		require.ErrorIs(t, err, errEnough)
	})
}
