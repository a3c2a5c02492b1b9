package peers_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/internal/bench/peers/sqlite"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/bolt"
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
	open := func(engine journal.Engine) (store.RuntimeStore, error) {
		return loopstore.Open(b.Context(), engine, "", loopstore.Options{InboxSize: 1024})
	}
	return map[string]func() (store.RuntimeStore, error){
		"raw": func() (store.RuntimeStore, error) {
			file, err := os.Create(path())
			require.NoError(b, err)
			return open(&rawFile{file: file})
		},
		"bolt":   func() (store.RuntimeStore, error) { return open(bolt.New(path(), bolt.Options{})) },
		"sqlite": func() (store.RuntimeStore, error) { return sqlite.OpenFile(path()) },
	}
}

// BenchmarkDisk measures the disk: it appends and syncs 4 KB, again and again.
func BenchmarkDisk(b *testing.B) {
	file, err := os.Create(filepath.Join(b.TempDir(), "file"))
	require.NoError(b, err)
	defer func() { require.NoError(b, file.Close()) }()
	page := make([]byte, 4096)
	for b.Loop() {
		_, err := file.Write(page)
		require.NoError(b, err)
		require.NoError(b, fdatasync(file))
	}
}

// BenchmarkDurable measures durable writes of callers with a runtime each.
func BenchmarkDurable(b *testing.B) {
	for _, name := range []string{"raw", "bolt", "sqlite"} {
		for _, callers := range []int{1, 8, 64, 512} {
			b.Run(fmt.Sprintf("store=%s/callers=%d", name, callers), func(b *testing.B) { benchmarkDurable(b, durable(b)[name], callers) })
		}
	}
}

func benchmarkDurable(b *testing.B, open func() (store.RuntimeStore, error), callers int) {
	s, err := open()
	require.NoError(b, err)
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	for caller := range callers {
		wg.Go(func() {
			id, input := store.RuntimeID(fmt.Sprint(caller)), store.NewInputState(store.InputID{1}, store.Time{})
			for left.Add(-1) >= 0 {
				input.AttemptCount++
				if err := s.PersistInputState(b.Context(), id, input); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	if l, ok := s.(*loopstore.Loop); ok {
		if j := l.Stats().Journal; j.Appends > 0 {
			b.ReportMetric(float64(b.N)/float64(j.Appends), "ops/append")
		}
	}
	require.NoError(b, s.(interface{ Close() error }).Close())
}

// BenchmarkDurableSession commits a session of 1 MB from scratch, and one that
// grows by 1 KB with each commit.
func BenchmarkDurableSession(b *testing.B) {
	message := `{"role":"user","content":"` + strings.Repeat("x", 1<<10-40) + `"}`
	for _, name := range []string{"raw", "bolt", "sqlite"} {
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
				bytes := func() uint64 {
					if l, ok := s.(*loopstore.Loop); ok {
						return l.Stats().Journal.Bytes
					}
					return 0
				}
				before, n := bytes(), 0
				for b.Loop() {
					session := []byte(other[n%2])
					if grows {
						session = grown[n%len(grown)]
					}
					n++
					_, err := s.CommitSessionBoundary(b.Context(), "a", store.BoundaryCommit{Session: store.SessionDelta{SessionSnapshot: session}, Boundary: store.RunCheckpoint})
					require.NoError(b, err)
				}
				b.ReportMetric(float64(bytes()-before)/float64(n), "journaled-B/op")
				require.NoError(b, s.(interface{ Close() error }).Close())
			})
		}
	}
}

// The stores that are measured keep what they acknowledge.
func TestDurableStoresKeepWhatTheyAcknowledge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for name, open := range map[string]func() (store.RuntimeStore, error){
		"bolt": func() (store.RuntimeStore, error) {
			return loopstore.Open(t.Context(), bolt.New(path+".bolt", bolt.Options{}), "", loopstore.Options{})
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
