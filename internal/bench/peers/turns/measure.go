package turns

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/store"
)

// Kinds are the storages that are compared. Open knows sqlite-off too, which syncs nothing.
var Kinds = []string{"loop", "sqlite-full", "sqlite-normal"}

// Open opens a storage of a kind in a directory that exists.
func Open(ctx context.Context, kind, dir string) (Storage, error) {
	switch kind {
	case "loop":
		return OpenLoop(ctx, filepath.Join(dir, "state"))
	case "sqlite-full", "sqlite-normal", "sqlite-off":
		return OpenSQLite(ctx, filepath.Join(dir, "turns.db"), strings.TrimPrefix(kind, "sqlite-"))
	}
	return nil, fmt.Errorf("turns: no storage is called %q", kind)
}

//go:embed loop.go
var loopSource string

//go:embed sqlite.go
var sqliteSource string

// Lines returns how many lines of code a kind of storage takes, without comments.
func Lines(kind string) (n int) {
	source := sqliteSource
	if kind == "loop" {
		source = loopSource
	}
	for line := range strings.Lines(source) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	return n
}

// A Cell is what is measured: turns in conversations that go round.
type Cell struct {
	Kind, Dir     string
	First         int // the number of the first conversation
	Conversations int
	Workers       int           // each sends a message, and does a turn, again and again
	Turns         int           // all of them together; each worker does as many
	Time          time.Duration // it ends after that, if not with the turns
}

// A Sample is what was measured. Bytes are those of all turns, and of closing the storage.
type Sample struct {
	Open     time.Duration
	Turn     time.Duration // all of the time, by turns
	P50, P99 time.Duration // of sending a message and doing a turn
	Read     time.Duration // of a conversation, the median
	Commits  float64       // a turn
	Written  int64         // bytes a turn, given to the file system
}

// asked is what a user says: 200 bytes.
var asked = strings.Repeat("Please note it. ", 13)[:200]

func agent(n int) store.RuntimeID { return store.RuntimeID(fmt.Sprintf("agent-%06d", n)) }

// Seed makes a storage with conversations of some turns, and returns how many bytes its files
// take, without a log, once they were compacted.
func Seed(ctx context.Context, kind, dir string, conversations, turns int) (size int64, err error) {
	s, err := Open(ctx, strings.Replace(kind, "full", "off", 1), dir)
	if err != nil {
		return 0, err
	}
	_, err = run(ctx, s, Cell{Conversations: conversations, Workers: min(64, conversations), Turns: conversations * turns, Time: time.Hour})
	if err == nil {
		err = s.Compact(ctx)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return 0, err
	}
	return size, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), "log-") {
			return err
		}
		info, err := entry.Info()
		size += info.Size()
		return err
	})
}

// Measure takes turns. Nothing else may be written by the process meanwhile. It is
// errors.ErrUnsupported where a process cannot say how much it has written.
func Measure(ctx context.Context, c Cell) (got Sample, err error) {
	before, err := written()
	if err != nil {
		return got, err
	}
	start := time.Now()
	s, err := Open(ctx, c.Kind, c.Dir)
	if err != nil {
		return got, err
	}
	got.Open = time.Since(start)
	start = time.Now()
	took, err := run(ctx, s, c)
	if err == nil && len(took) == 0 {
		err = errors.New("turns: no time for a turn")
	}
	if err != nil {
		return got, errors.Join(err, s.Close())
	}
	got.Turn = time.Since(start) / time.Duration(len(took))
	got.P50, got.P99 = took[len(took)/2], took[len(took)*99/100]
	got.Commits = float64(s.Commits()) / float64(len(took))
	reads := make([]time.Duration, 100)
	for i := range reads {
		start := time.Now()
		if _, err := s.Conversation(ctx, agent(c.First+i%c.Conversations)); err != nil {
			return got, errors.Join(err, s.Close())
		}
		reads[i] = time.Since(start)
	}
	slices.Sort(reads)
	got.Read = reads[len(reads)/2]
	if err := s.Close(); err != nil {
		return got, err
	}
	after, err := written()
	got.Written = (after - before) / int64(len(took))
	return got, err
}

// run takes turns, and returns how long each took, in order.
func run(ctx context.Context, s Storage, c Cell) (took []time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	var n atomic.Int64
	times := make([][]time.Duration, c.Workers)
	end := time.Now().Add(c.Time)
	for w := range times {
		workers.Go(func() {
			for range c.Turns / c.Workers {
				start := time.Now()
				if start.After(end) {
					return // everybody else as well: whoever sends a message does one
				}
				i := int(n.Add(1))
				if err := once(ctx, s, agent(c.First+i%c.Conversations), fmt.Sprintf("%d-%d", start.UnixNano(), i)); err != nil {
					cancel(err)
					return
				}
				times[w] = append(times[w], time.Since(start))
			}
		})
	}
	workers.Wait()
	took = slices.Concat(times...)
	slices.Sort(took)
	return took, context.Cause(ctx)
}

// once sends a message, and does the next turn.
func once(ctx context.Context, s Storage, agent store.RuntimeID, key string) error {
	if _, err := s.Enqueue(ctx, agent, key, Say(asked)); err != nil {
		return err
	}
	t, err := s.Next(ctx)
	if err != nil {
		return err
	}
	return Serve(ctx, s, t, Note)
}

// written returns how many bytes this process has given to the file system. The system counts
// write_bytes by what it holds in memory together, up to a megabyte for a write of one byte.
func written() (n int64, err error) {
	text, err := os.ReadFile("/proc/self/io") // proc_pid_io(5)
	if err != nil {
		return 0, fmt.Errorf("turns: %w: %w", errors.ErrUnsupported, err)
	}
	for line := range strings.Lines(string(text)) {
		if at, ok := strings.CutPrefix(line, "wchar: "); ok {
			_, err := fmt.Sscan(at, &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("turns: %w: /proc/self/io has no wchar", errors.ErrUnsupported)
}
