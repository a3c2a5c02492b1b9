package journalbench

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
)

var large = flag.Int("large", 0, "import a store of so many MB")

// Large returns how many MB the flag -large says. Without it, the test is skipped.
func Large(t *testing.T) int {
	t.Helper()
	if *large <= 0 {
		t.Skip("-large says how many MB to import")
	}
	return *large
}

// Import imports a store of so many MB, and opens it again: it must hold what was
// exported. It logs what each step took, and how long a load beside the import waited.
func Import(t *testing.T, mb int, engine journal.Engine) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "export")
	held := exportOf(t, mb, name)
	want := digestOf(t, func(w io.Writer) error {
		file, err := os.Open(name)
		if err == nil {
			_, err = io.Copy(w, file)
			_ = file.Close()
		}
		return err
	})
	info, err := os.Stat(name)
	require.NoError(t, err)
	t.Logf("%d MB are held, the file has %d MB", held.Bytes()/1e6, info.Size()/1e6)

	open := func() (l *loopstore.Loop) {
		step(t, "Open", func() {
			var err error
			l, err = loopstore.Open(context.WithoutCancel(t.Context()), engine, "large", loopstore.Options{})
			require.NoError(t, err)
		})
		return l
	}
	l := open()
	stop, longest := besideOf(l)
	step(t, "Import", func() {
		file, err := os.Open(name)
		require.NoError(t, err)
		defer func() { require.NoError(t, file.Close()) }()
		got, err := l.Import(t.Context(), file)
		require.NoError(t, err)
		require.Equal(t, held, got)
	})
	stop()
	appends := l.Stats().Journal.Appends
	t.Logf("%d appends; the longest load beside it took %v", appends, *longest)
	for range 2 {
		step(t, "Export", func() {
			require.Equal(t, held, l.Stats().Held)
			require.True(t, want == digestOf(t, func(w io.Writer) error { return l.Export(t.Context(), w) }), "the export is another one")
		})
		step(t, "Close", func() { require.NoError(t, l.Close()) })
		l = open()
	}
	require.NoError(t, l.Close())
}

// exportOf exports a store of so many MB: each runtime has one, of a session, inputs and
// receipts.
func exportOf(t *testing.T, mb int, name string) store.Totals {
	t.Helper()
	l := loopstore.New(loopstore.Options{})
	defer func() { require.NoError(t, l.Close()) }()
	random := rand.NewChaCha8([32]byte{})
	text := func(n int) string {
		raw := make([]byte, n*3/4)
		_, _ = random.Read(raw)
		return base64.StdEncoding.EncodeToString(raw)
	}
	for n := 0; l.Stats().Held.Bytes() < int64(mb)*1e6; n++ {
		id := store.RuntimeID(fmt.Sprint("runtime ", n))
		var b batch.Batch
		for i := range 20 {
			input := store.NewInputState(store.InputID{byte(i)}, store.Time{})
			input.PersistedInput = []byte(`"` + text(10_000) + `"`)
			b.Then = append(b.Then, batch.PutInputState{RuntimeID: id, State: input})
		}
		for i := range 500 {
			run := store.RunID{byte(i % 10)}
			binary.BigEndian.PutUint64(run[8:], uint64(n))
			b.Then = append(b.Then, batch.PutReceipt{RuntimeID: id, Receipt: store.RunBoundaryReceipt{RunID: run, Boundary: store.Immediate, Sequence: uint64(i)}})
		}
		b.Then = append(b.Then, batch.PutSnapshot{RuntimeID: id, Snapshot: []byte(text(700_000))})
		_, err := l.Commit(t.Context(), b)
		require.NoError(t, err)
	}
	require.NoError(t, l.ExportFile(t.Context(), name))
	return l.Stats().Held
}

func digestOf(t *testing.T, write func(io.Writer) error) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	require.NoError(t, write(h))
	return [sha256.Size]byte(h.Sum(nil))
}

// step logs how long do took, and how large the heap became.
func step(t *testing.T, name string, do func()) {
	t.Helper()
	runtime.GC()
	heap := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before, began := heap(), time.Now()
	most := before
	stop := every(10*time.Millisecond, func() { most = max(most, heap()) })
	do()
	took := time.Since(began)
	stop()
	runtime.GC()
	t.Logf("%-6s took %8v, the heap had %4d MB before it, at most %4d MB, and %4d MB after it",
		name, took.Round(time.Millisecond), before/1e6, most/1e6, heap()/1e6)
}

// besideOf loads until it is stopped.
func besideOf(l *loopstore.Loop) (stop func(), longest *time.Duration) {
	longest = new(time.Duration)
	return every(time.Millisecond, func() {
		began := time.Now()
		_, _, _ = l.LoadRuntimeState(context.Background(), "runtime 0")
		*longest = max(*longest, time.Since(began))
	}), longest
}

// every does something again and again, until it is stopped.
func every(interval time.Duration, do func()) (stop func()) {
	stopped := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				do()
			case <-stopped:
				return
			}
		}
	})
	return func() {
		close(stopped)
		wg.Wait()
	}
}
