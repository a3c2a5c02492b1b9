package loopstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
)

// filled returns a loop with some runtimes, and what it exports.
func filled(t *testing.T, n int) (*Loop, []byte) {
	t.Helper()
	l := New(Options{})
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	for i := range n {
		require.NoError(t, l.PersistRuntimeState(t.Context(), store.RuntimeID(strconv.Itoa(i)), store.RuntimeIdle))
	}
	var file bytes.Buffer
	require.NoError(t, l.Export(t.Context(), &file))
	return l, file.Bytes()
}

func TestImportGivesWhatExportTook(t *testing.T) {
	_, file := filled(t, 100)
	l := New(Options{})
	defer l.Close()
	absent, err := l.View(t.Context(), "7")
	require.NoError(t, err)

	held, err := l.Import(t.Context(), bytes.NewReader(file))
	require.NoError(t, err)
	assert.Equal(t, 100, held.Runtimes)
	assert.False(t, absent.Current(), "the view of a runtime that was not there")
	view, err := l.View(t.Context(), "7")
	require.NoError(t, err)
	assert.EqualValues(t, 8, view.Version())

	var again bytes.Buffer
	require.NoError(t, l.Export(t.Context(), &again))
	assert.Equal(t, string(file), again.String())
	require.NoError(t, l.PersistRuntimeState(t.Context(), "7", store.RuntimeRunning))
	view, err = l.View(t.Context(), "7")
	require.NoError(t, err)
	assert.Greater(t, view.Version(), uint64(100+1<<32), "revisions go on, beyond all that the exported store comes to meanwhile")
}

func TestARefusedImportAppliesNothing(t *testing.T) {
	_, file := filled(t, 10)
	for _, c := range []struct {
		limits store.Limits
		file   []byte
		err    error
	}{
		{store.Limits{}, file[:len(file)-1], io.ErrUnexpectedEOF},
		{store.Limits{TotalBytes: 10}, file, store.ErrLimit},
	} {
		l := New(Options{Limits: c.limits})
		_, err := l.Import(t.Context(), bytes.NewReader(c.file))
		require.ErrorIs(t, err, c.err)
		require.ErrorContains(t, err, "import: ")
		require.ErrorContains(t, err, "(nothing was applied)")
		image, err := Do(t.Context(), l, ops.LoadImage{})
		require.NoError(t, err)
		assert.Zero(t, image.Revision())
		assert.Zero(t, image.Totals())
		require.NoError(t, l.Close())
	}
}

func TestAStoreThatHeldSomethingTakesNoImport(t *testing.T) {
	l, file := filled(t, 1)
	_, err := l.DeleteRuntime(t.Context(), "0")
	require.NoError(t, err)
	_, err = l.Import(t.Context(), bytes.NewReader(file))
	require.ErrorIs(t, err, store.ErrNotEmpty)
	ok, err := l.View(t.Context(), "0")
	require.NoError(t, err)
	assert.False(t, ok.Exists())
}

// A canceller ends a context after so many calls.
type canceller struct {
	io.ReadWriter
	left   int
	cancel context.CancelCauseFunc
}

var errEnough = errors.New("enough")

func (c *canceller) Write(p []byte) (int, error) { c.count(); return c.ReadWriter.Write(p) }
func (c *canceller) Read(p []byte) (int, error)  { c.count(); return c.ReadWriter.Read(p) }
func (c *canceller) count() {
	if c.left--; c.left == 0 {
		c.cancel(errEnough)
	}
}

func TestContextsEndExportAndImport(t *testing.T) {
	l, file := filled(t, 2000)
	require.Greater(t, len(file), 200_000, "some buffers")
	other := New(Options{})
	defer other.Close()
	for name, call := range map[string]func(context.Context, io.ReadWriter) error{
		"export": func(ctx context.Context, rw io.ReadWriter) error { return l.Export(ctx, rw) },
		"import": func(ctx context.Context, rw io.ReadWriter) error { _, err := other.Import(ctx, rw); return err },
	} {
		for calls := range 3 {
			ctx, cancel := context.WithCancelCause(t.Context())
			if calls == 0 {
				cancel(errEnough)
			}
			c := &canceller{bytes.NewBuffer(bytes.Clone(file)), calls, cancel}
			err := call(ctx, c)
			require.ErrorIs(t, err, context.Canceled, name)
			require.ErrorIs(t, err, errEnough)
			require.ErrorContains(t, err, name+": ")
			assert.Zero(t, c.left, "it goes no further")
			_, refused := errors.AsType[*archive.Error](err)
			assert.False(t, refused)
			cancel(nil)
		}
	}
	_, err := other.Import(t.Context(), bytes.NewReader(file))
	require.NoError(t, err, "it is as it was made")

	require.NoError(t, l.Close())
	err = l.Export(t.Context(), io.Discard)
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorContains(t, err, "export: ")
}

// While an export is written the owner serves others, and what they change is
// not in it.
func TestExportingIsOfOneMoment(t *testing.T) {
	l, file := filled(t, 2000)
	reader, writer := io.Pipe()
	exported := make(chan error, 1)
	go func() {
		err := l.Export(t.Context(), writer)
		_ = writer.CloseWithError(err)
		exported <- err
	}()
	start := make([]byte, 1000)
	_, err := io.ReadFull(reader, start)
	require.NoError(t, err)
	for i := range 3000 {
		require.NoError(t, l.PersistRuntimeState(t.Context(), store.RuntimeID(strconv.Itoa(i)), store.RuntimeStopped))
	}
	rest, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.NoError(t, <-exported)
	assert.Equal(t, string(file), string(start)+string(rest))
}

// An endingContext does what ends its caller, at some call of Err.
type endingContext struct {
	context.Context
	left *int
	end  func()
}

func (c endingContext) Err() error {
	if *c.left--; *c.left == 0 {
		c.end()
	}
	return c.Context.Err()
}

// However a context ends its caller, ExportFile leaves no file behind.
func TestExportFileLeavesNothingBehind(t *testing.T) {
	l, _ := filled(t, 5000)
	for how, end := range map[string]func(){"panic": func() { panic(errEnough) }, "goexit": runtime.Goexit} {
		folder := t.TempDir()
		written, left := false, 5
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { _ = recover() }()
			_ = l.ExportFile(endingContext{t.Context(), &left, end}, filepath.Join(folder, "export"))
			written = true
		})
		wg.Wait()
		assert.False(t, written, how)
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		assert.Empty(t, entries, how)
	}
}
