package disk_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// loads are batches: how many changes, of how many bytes each.
var loads = []struct{ changes, bytes int }{{1, 300}, {64, 300}, {1, 16 << 10}, {1, 1 << 20}}

func eachLoad(b *testing.B, run func(b *testing.B, changes, bytes int)) {
	for _, l := range loads {
		b.Run(fmt.Sprintf("changes=%d/bytes=%d", l.changes, l.bytes), func(b *testing.B) {
			b.SetBytes(int64(l.changes * l.bytes))
			run(b, l.changes, l.bytes)
		})
	}
}

// BenchmarkRaw is the floor: append the bytes to a file, and sync it.
func BenchmarkRaw(b *testing.B) {
	eachLoad(b, func(b *testing.B, changes, bytes int) {
		f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
		require.NoError(b, err)
		defer func() { require.NoError(b, f.Close()) }()
		text := make([]byte, changes*bytes)
		for b.Loop() {
			_, err := f.Write(text)
			require.NoError(b, err)
			require.NoError(b, f.Sync())
		}
	})
}

// BenchmarkAppend changes some of 10,000 keys at random.
func BenchmarkAppend(b *testing.B) {
	eachLoad(b, func(b *testing.B, changes, bytes int) {
		path := filepath.Join(b.TempDir(), "journal")
		j := open(b, path)
		keys := min(10_000, 64<<20/bytes)
		prepare(b, j, keys, min(bytes, 300))
		random := rand.New(rand.NewPCG(1, 2))
		value := strings.Repeat("v", bytes)
		before := written(b)
		for b.Loop() {
			var batch []journal.Change
			for range changes {
				batch = append(batch, put(keyOf(random.IntN(keys)), value))
			}
			appendTo(b, j, batch...)
		}
		b.ReportMetric(float64(written(b)-before)/float64(b.N*changes*bytes), "written/byte")
	})
}

func keyOf(i int) string { return fmt.Sprintf("runtime/%06d/input", i) }

func prepare(b *testing.B, j journal.Journal, keys, bytes int) {
	b.Helper()
	value := strings.Repeat("p", bytes)
	for from := 0; from < keys; from += 10_000 {
		var batch []journal.Change
		for i := from; i < min(keys, from+10_000); i++ {
			batch = append(batch, put(keyOf(i), value))
		}
		appendTo(b, j, batch...)
	}
}

// written returns what this process has had written, by Linux's count; 0
// elsewhere.
func written(b *testing.B) uint64 { return procNumber(b, "/proc/self/io", "wchar:") }

func procNumber(b *testing.B, file, name string) uint64 {
	b.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), name)
	n, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
	require.NoError(b, err)
	return n
}

// BenchmarkOpen opens a partition of a million records of 200 bytes.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "journal")
	e := disk.New(path, disk.Options{})
	j, _, err := load(b, e, "p")
	require.NoError(b, err)
	start := time.Now()
	prepare(b, j, 1_000_000, 200)
	require.NoError(b, j.Close(b.Context()))
	b.Logf("filled in %v", time.Since(start))
	runtime.GC()
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the peak starts anew
	size := int64(0)
	for _, text := range readDir(b, path) {
		size += int64(len(text))
	}
	b.SetBytes(size)
	for b.Loop() {
		n := 0
		j, err := e.Open(b.Context(), "p", func(journal.Change) error { n++; return nil })
		require.NoError(b, err)
		require.Equal(b, 1_000_000, n)
		require.NoError(b, j.Close(b.Context()))
	}
	b.ReportMetric(float64(procNumber(b, "/proc/self/status", "VmHWM:"))/1024, "peak-MB")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapSys)/(1<<20), "heap-MB")
}
