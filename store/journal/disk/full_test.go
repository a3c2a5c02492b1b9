package disk_test

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

// failing makes changes of the disk fail, while what says so.
func failing(t *testing.T, err error, what func(files.Change) bool) (on *atomic.Bool) {
	t.Helper()
	on = new(atomic.Bool)
	hook(t, func(c files.Change) error {
		if on.Load() && what(c) {
			return err
		}
		return nil
	}, nil)
	return on
}

func ofLog(c files.Change) bool {
	return strings.Contains(c.Path, "log-") || c.File != nil && strings.Contains(c.File.Name(), "log-")
}

func tryAppend(t *testing.T, j journal.Journal, changes ...journal.Change) error {
	t.Helper()
	_, err := j.Append(t.Context(), journal.Batch{Changes: changes})
	return err
}

// A disk that has no room for a segment rejects batches, and the journal goes on when there is
// room again.
func TestNoRoomForASegment(t *testing.T) {
	for _, op := range []files.Op{files.Created, files.Resized, files.Renamed, files.Synced} {
		t.Run(string(op), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			opts := disk.WithSegments(disk.Options{Logger: silent}, 4096)
			full := failing(t, syscall.ENOSPC, func(c files.Change) bool {
				if op == files.Synced {
					return c.Op == op && c.File.Name() == path // the names in it
				}
				return c.Op == op && ofLog(c)
			})
			j := openWith(t, path, opts)
			want := contents{}
			index := uint64(0)
			for i := range 12 {
				full.Store(i%4 >= 2)
				key, value := fmt.Sprint(i), strings.Repeat("v", 3000)
				err := tryAppend(t, j, put(key, value))
				if err == nil {
					want[key] = value
					index++
					continue
				}
				require.ErrorIs(t, err, journal.ErrRejected)
				require.ErrorIs(t, err, syscall.ENOSPC)
				require.NotErrorIs(t, err, journal.ErrAmbiguous)
			}
			require.Less(t, len(want), 12, "some were rejected")
			full.Store(false)
			at := appendTo(t, j, put("last", "1"))
			want["last"] = "1"
			require.Equal(t, index+1, at.Index, "what was rejected has no index")
			require.NoError(t, j.Close(t.Context()))
			require.Equal(t, want, reload(t, path, opts))
		})
	}
}

// While there is no room for a checkpoint appends go on, and the log grows. When there is
// room, the log is cut. A crash at any moment loses nothing.
func TestNoRoomForACheckpoint(t *testing.T) {
	for name, err := range map[string]error{"full": syscall.ENOSPC, "over quota": syscall.EDQUOT} {
		t.Run(name, func(t *testing.T) {
			path, copied := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "copy")
			opts := disk.WithSegments(disk.Options{CheckpointBytes: 16 << 10, Logger: silent}, 8<<10)
			full := failing(t, err, func(c files.Change) bool { return c.Op == files.Committed })
			want := contents{}
			j := openWith(t, path, opts)
			grow := func(rounds int) {
				for i := range rounds {
					key, value := fmt.Sprint(i%10), fmt.Sprint(len(want), i, strings.Repeat("v", 2000))
					appendTo(t, j, put(key, value))
					want[key] = value
				}
			}
			crash := func() {
				t.Helper()
				require.NoError(t, settled(t, path).write(copied))
				got := contents{}
				_, err := disk.Read(t.Context(), copied, "p", opts, func(c journal.Change) error {
					got[string(c.Key)] = string(c.Value)
					return nil
				})
				require.NoError(t, err)
				require.True(t, maps.Equal(want, got))
			}
			grow(30)
			crash()
			full.Store(true)
			grow(10)
			crash()
			require.Eventually(t, func() bool {
				grow(5)
				return len(settled(t, path).segments()) > 20
			}, 20*time.Second, time.Millisecond, "the log grows")
			crash()
			require.ErrorIs(t, j.Compact(t.Context(), nil), err)
			crash()
			full.Store(false)
			require.Eventually(t, func() bool {
				grow(1)
				return len(settled(t, path).segments()) < 16
			}, 20*time.Second, 10*time.Millisecond, "the log is cut")
			crash()
			require.NoError(t, j.Compact(t.Context(), nil))
			crash()
			require.NoError(t, j.Close(t.Context()))
			require.Equal(t, want, reload(t, path, opts))
		})
	}
}

// After a write or a sync of a frame fails, whether it was stored is unknown: nothing is tried
// again, in no partition. The next Open tells, and there is no gap.
func TestAFrameThatFails(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		for _, op := range []files.Op{files.Written, files.Synced} {
			t.Run(fmt.Sprint(op, " ", cause), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "journal")
				broken := failing(t, cause, func(c files.Change) bool { return c.Op == op && ofLog(c) })
				e := disk.New(path, disk.Options{Timeout: -1})
				j, _, err := load(t, e, "p")
				require.NoError(t, err)
				other, _, err := load(t, e, "q")
				require.NoError(t, err)
				appendTo(t, j, put("a", "1"))
				require.NoError(t, j.Compact(t.Context(), nil))
				broken.Store(true)
				err = tryAppend(t, j, put("a", "2"))
				require.ErrorIs(t, err, journal.ErrAmbiguous)
				require.ErrorIs(t, err, cause)
				broken.Store(false)
				for _, j := range []journal.Journal{j, other} {
					err := tryAppend(t, j, put("a", "3"))
					require.ErrorIs(t, err, journal.ErrAmbiguous)
					require.ErrorIs(t, err, cause)
				}
				_, _, err = load(t, e, "r")
				require.ErrorIs(t, err, cause, "no partition is opened in it")
				require.NoError(t, j.Close(t.Context()))
				require.NoError(t, other.Close(t.Context()))
				got := reload(t, path, disk.Options{})
				require.Contains(t, []contents{{"a": "1"}, {"a": "2"}}, got)
				require.Equal(t, op == files.Synced, got["a"] == "2")
			})
		}
	}
}

// A checkpoint that fails otherwise ends the journal before anything is built on it: batches
// are rejected with the cause. All that was acknowledged stands when it is opened again.
func TestACheckpointThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	opts := disk.WithSegments(disk.Options{CheckpointBytes: 16 << 10, Logger: silent}, 8<<10)
	broken := failing(t, syscall.EIO, func(c files.Change) bool { return c.Op == files.Committed })
	j := openWith(t, path, opts)
	want := contents{}
	var err error
	for i := 0; err == nil; i++ {
		require.Less(t, i, 10_000)
		if i == 20 {
			broken.Store(true)
		}
		key, value := fmt.Sprint(i%10), fmt.Sprint(i, strings.Repeat("v", 2000))
		if err = tryAppend(t, j, put(key, value)); err == nil {
			want[key] = value
		}
	}
	broken.Store(false)
	for range 2 {
		require.ErrorIs(t, err, journal.ErrRejected)
		require.ErrorIs(t, err, syscall.EIO)
		require.NotErrorIs(t, err, journal.ErrAmbiguous)
		err = tryAppend(t, j, put("late", "1"))
	}
	require.Error(t, j.Compact(t.Context(), nil))
	require.NoError(t, j.Close(t.Context()))
	require.Equal(t, want, reload(t, path, opts))
}

// Whichever change of a Compact fails, nothing that stands is lost, and a journal that was
// not ended goes on.
func TestAnyStepOfACompactMayFail(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		t.Run(cause.Error(), func(t *testing.T) {
			var left atomic.Int64 // changes until one fails
			var failed atomic.Pointer[string]
			hook(t, func(c files.Change) error {
				if left.Add(-1) == 0 {
					failed.Store(new(describe(c)))
					return cause
				}
				return nil
			}, nil)
			for nth := int64(1); nth == 1 || failed.Swap(nil) != nil; nth++ {
				path := filepath.Join(t.TempDir(), "journal")
				opts := disk.WithSegments(disk.Options{Logger: silent}, 64<<10)
				j := openWith(t, path, opts)
				want := contents{}
				for i := range 20 {
					appendTo(t, j, put(fmt.Sprint(i), strings.Repeat("v", 20_000)))
				}
				require.NoError(t, j.Compact(t.Context(), nil))
				for i := range 19 {
					appendTo(t, j, remove(fmt.Sprint(i)))
				}
				want["19"] = strings.Repeat("v", 20_000)
				left.Store(nth)
				err := j.Compact(t.Context(), nil)
				if err != nil {
					require.ErrorIs(t, err, cause)
				}
				appended := tryAppend(t, j, put("after", "1"))
				if appended == nil {
					want["after"] = "1"
				} else {
					require.ErrorIs(t, appended, cause)
				}
				_ = j.Compact(t.Context(), nil)
				require.NoError(t, j.Close(t.Context()))
				left.Store(0)
				got := reload(t, path, opts)
				if errors.Is(appended, journal.ErrAmbiguous) {
					delete(got, "after")
				}
				require.True(t, maps.Equal(want, got), "change %d", nth)
			}
		})
	}
}
