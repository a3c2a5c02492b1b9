package peers_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/internal/bench/peers/sqlite"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// A rawFile is a journal that only appends, and syncs its file for each batch. No journal
// on a file can cost less. It cannot be read.
type rawFile struct {
	file  *os.File
	buf   []byte
	index uint64
}

func (r *rawFile) Open(context.Context, string, func(journal.Change) error) (journal.Journal, error) {
	return r, nil
}

func (r *rawFile) Append(_ context.Context, b journal.Batch) (journal.Position, error) {
	r.buf = append(r.buf[:0], b.ID[:]...)
	for _, c := range b.Changes {
		r.buf = binary.AppendUvarint(binary.AppendUvarint(r.buf, uint64(len(c.Key))), uint64(len(c.Value)))
		r.buf = append(append(r.buf, c.Key...), c.Value...)
	}
	r.index++
	if _, err := r.file.Write(r.buf); err != nil {
		return journal.Position{}, err
	}
	return journal.Position{Epoch: 1, Index: r.index}, fdatasync(r.file)
}

func (r *rawFile) Compact(context.Context, iter.Seq[journal.Change]) error { return nil }
func (r *rawFile) Limits() journal.Limits                                  { return journal.Limits{} }
func (r *rawFile) Fenced() <-chan struct{}                                 { return nil }
func (r *rawFile) Close(context.Context) error                             { return r.file.Close() }

// durable returns the stores that keep what they acknowledge, in files of a temporary
// directory.
func durable(b testing.TB) map[string]func() (store.RuntimeStore, error) {
	dir, n := b.TempDir(), 0
	path := func() string {
		n++
		return filepath.Join(dir, fmt.Sprint(n))
	}
	open := func(engine journal.Engine) (*loopstore.Loop, error) {
		return loopstore.Open(b.Context(), engine, "", loopstore.Options{InboxSize: 1024})
	}
	return map[string]func() (store.RuntimeStore, error){
		"raw": func() (store.RuntimeStore, error) {
			file, err := os.Create(path())
			require.NoError(b, err)
			return open(&rawFile{file: file})
		},
		"disk": func() (store.RuntimeStore, error) { return open(disk.New(path(), disk.Options{})) },
		"disk_checkpoints": func() (store.RuntimeStore, error) {
			return open(disk.New(path(), disk.Options{CheckpointBytes: 1 << 20}))
		},
		"disk_compacts": func() (store.RuntimeStore, error) {
			loop, err := open(disk.New(path(), disk.Options{}))
			require.NoError(b, err)
			return compactAlways(b, loop), nil
		},
		"sqlite": func() (store.RuntimeStore, error) { return sqlite.OpenFile(path()) },
	}
}

// A compacting is a Loop whose journal is compacted again and again until it is closed. So
// a checkpoint is under way all the time, and at times a compaction.
type compacting struct {
	*loopstore.Loop
	stop context.CancelFunc
	gone chan struct{}
}

func compactAlways(b testing.TB, loop *loopstore.Loop) *compacting {
	ctx, cancel := context.WithCancel(b.Context())
	c := &compacting{loop, cancel, make(chan struct{})}
	go func() {
		defer close(c.gone)
		for ctx.Err() == nil {
			if err := loop.Compact(ctx); err != nil && ctx.Err() == nil {
				b.Error(err)
				return
			}
		}
	}()
	return c
}

func (c *compacting) Close() error {
	c.stop()
	<-c.gone
	return c.Loop.Close()
}

func closeStore(b *testing.B, s store.RuntimeStore) {
	b.Helper()
	require.NoError(b, s.(interface{ Close() error }).Close())
}

// appended returns what a store has appended to its journal. One that has none is not ok.
func appended(s store.RuntimeStore) (stats loopstore.JournalStats, ok bool) {
	l, ok := s.(interface{ Stats() loopstore.Stats })
	if ok {
		stats = *l.Stats().Journal
	}
	return stats, ok
}

// reportQuantiles reports how long calls took: the time that a share of them did not
// exceed. what says which calls; it is empty for those that the benchmark counts.
func reportQuantiles(b *testing.B, what string, took []time.Duration, shares ...float64) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	for _, share := range shares {
		at := took[min(len(took)-1, int(share*float64(len(took))))]
		b.ReportMetric(float64(at)/float64(time.Microsecond), fmt.Sprintf("%sp%g-µs", what, share*100))
	}
}

// BenchmarkDisk measures the disk: it appends and syncs 4 KB, or 1 MB, again and again.
func BenchmarkDisk(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			file, err := os.Create(filepath.Join(b.TempDir(), "file"))
			require.NoError(b, err)
			defer func() { require.NoError(b, file.Close()) }()
			block := make([]byte, size)
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				_, err := file.Write(block)
				require.NoError(b, err)
				require.NoError(b, fdatasync(file))
				took = append(took, time.Since(start))
			}
			reportQuantiles(b, "", took, 0.5, 0.99)
		})
	}
}

// BenchmarkDurable measures durable writes of callers with a runtime each.
func BenchmarkDurable(b *testing.B) {
	for _, name := range []string{"raw", "disk", "disk_checkpoints", "disk_compacts", "sqlite"} {
		for _, callers := range []int{1, 8, 64, 512} {
			b.Run(fmt.Sprintf("store=%s/callers=%d", name, callers), func(b *testing.B) {
				s, err := durable(b)[name]()
				require.NoError(b, err)
				b.ResetTimer()
				write(b, s, callers, func(input *store.InputState, _ int) { input.AttemptCount++ })
				closeStore(b, s)
			})
		}
	}
}

// write makes as many durable writes as the benchmark asks for. Each caller has a runtime,
// and changes an input before each of its writes.
func write(b *testing.B, s store.RuntimeStore, callers int, change func(input *store.InputState, n int)) {
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, callers)
	for caller := range callers {
		wg.Go(func() {
			id, input := store.RuntimeID(fmt.Sprint(caller)), store.NewInputState(store.InputID{1}, store.Time{})
			var mine []time.Duration
			for n := 0; left.Add(-1) >= 0; n++ {
				change(&input, n)
				start := time.Now()
				if err := s.PersistInputState(b.Context(), id, input); err != nil {
					b.Error(err)
					return
				}
				mine = append(mine, time.Since(start))
			}
			took[caller] = mine
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	if j, ok := appended(s); ok && j.Appends > 0 {
		b.ReportMetric(float64(b.N)/float64(j.Appends), "ops/append")
	}
	reportQuantiles(b, "", slices.Concat(took...), 0.5, 0.99)
}

// BenchmarkDurableLoads measures loads beside the writes of 64 callers, which change
// 4,096 inputs of 1 KB again and again. The loads are of a runtime that nobody writes, so
// that none has to wait for an append.
func BenchmarkDurableLoads(b *testing.B) {
	payload := []byte(`"` + strings.Repeat("x", 1<<10-2) + `"`)
	for _, name := range []string{"raw", "disk", "disk_checkpoints", "disk_compacts", "sqlite"} {
		b.Run("store="+name, func(b *testing.B) {
			s, err := durable(b)[name]()
			require.NoError(b, err)
			require.NoError(b, s.PersistRuntimeState(b.Context(), "idle", store.RuntimeIdle))
			ended, loaded := make(chan struct{}), make(chan []time.Duration)
			go func() {
				var took []time.Duration
				tick := time.NewTicker(100 * time.Microsecond)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
					case <-ended:
						loaded <- took
						return
					}
					start := time.Now()
					if _, _, err := s.LoadRuntimeState(b.Context(), "idle"); err != nil {
						b.Error(err)
					}
					took = append(took, time.Since(start))
				}
			}()
			b.ResetTimer()
			write(b, s, 64, func(input *store.InputState, n int) {
				input.InputID, input.PersistedInput = store.InputID{1, byte(n % 64)}, payload
			})
			close(ended)
			reportQuantiles(b, "load-", <-loaded, 0.5, 0.99, 0.999, 1)
			closeStore(b, s)
		})
	}
}

// BenchmarkDurableSession commits a session of 1 MB from scratch, and one that
// grows by 1 KB with each commit. Compare the first to BenchmarkDisk/bytes=1048576, and
// the second to BenchmarkDisk/bytes=4096.
func BenchmarkDurableSession(b *testing.B) {
	message := `{"role":"user","content":"` + strings.Repeat("x", 1<<10-40) + `"}`
	for _, name := range []string{"raw", "disk", "disk_checkpoints", "disk_compacts", "sqlite"} {
		for _, grows := range []bool{false, true} {
			b.Run(fmt.Sprintf("store=%s/grown=%t", name, grows), func(b *testing.B) {
				s, err := durable(b)[name]()
				require.NoError(b, err)
				one := string(measure.Session(1 << 20))
				other := []string{one, strings.ReplaceAll(one, "some", "Some")} // no part is the same
				var grown [][]byte
				for n := range 64 {
					grown = append(grown, []byte(strings.Replace(one, `],"created_at"`, strings.Repeat(","+message, n)+`],"created_at"`, 1)))
				}
				before, _ := appended(s)
				var took []time.Duration
				n := 0
				for b.Loop() {
					session := []byte(other[n%2])
					if grows {
						session = grown[n%len(grown)]
					}
					n++
					start := time.Now()
					_, err := s.CommitSessionBoundary(b.Context(), "a", store.BoundaryCommit{Session: store.SessionDelta{SessionSnapshot: session}, Boundary: store.RunCheckpoint})
					require.NoError(b, err)
					took = append(took, time.Since(start))
				}
				after, _ := appended(s)
				b.ReportMetric(float64(after.Bytes-before.Bytes)/float64(n), "journaled-B/op")
				reportQuantiles(b, "", took, 0.5, 0.99)
				closeStore(b, s)
			})
		}
	}
}

// The stores that are measured keep what they acknowledge.
func TestDurableStoresKeepWhatTheyAcknowledge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for name, open := range map[string]func() (store.RuntimeStore, error){
		"disk": func() (store.RuntimeStore, error) {
			return loopstore.Open(t.Context(), disk.New(path+".disk", disk.Options{}), "", loopstore.Options{})
		},
		"sqlite": func() (store.RuntimeStore, error) { return sqlite.OpenFile(path + ".sqlite") },
	} {
		t.Run(name, func(t *testing.T) {
			for n := range 2 {
				s, err := open()
				require.NoError(t, err)
				_, ok, err := s.LoadRuntimeState(t.Context(), "a")
				require.NoError(t, err)
				assert.Equal(t, n > 0, ok)
				require.NoError(t, s.PersistRuntimeState(t.Context(), "a", store.RuntimeIdle))
				require.NoError(t, s.(interface{ Close() error }).Close())
			}
		})
	}
}

// What is measured goes on after a compaction has written the pages anew.
func TestDurableStoresGoOnAfterACompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	open := func() *loopstore.Loop {
		l, err := loopstore.Open(t.Context(), disk.New(path, disk.Options{}), "", loopstore.Options{})
		require.NoError(t, err)
		return l
	}
	sizeOfPages := func() int64 {
		info, err := os.Stat(filepath.Join(path, "pages"))
		require.NoError(t, err)
		return info.Size()
	}
	l, large := open(), store.NewInputState(store.InputID{1}, store.Time{})
	large.PersistedInput = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	for range 3 {
		require.NoError(t, l.PersistInputState(t.Context(), "large", large))
		require.NoError(t, l.PersistRuntimeState(t.Context(), "small", store.RuntimeIdle))
		require.NoError(t, l.Compact(t.Context()))
		require.Greater(t, sizeOfPages(), int64(1<<20))
		_, err := l.DeleteRuntime(t.Context(), "large")
		require.NoError(t, err)
		require.NoError(t, l.Compact(t.Context()))
		require.Less(t, sizeOfPages(), int64(1<<20))
	}
	require.NoError(t, l.Close())
	l = open()
	state, ok, err := l.LoadRuntimeState(t.Context(), "small")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, store.RuntimeIdle, state)
	require.NoError(t, l.Close())
}
