package disk_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/state"
)

// BenchmarkOpenLoop opens a store of a million records: inputs, of 1,000
// runtimes. It reports what the state takes, and what the opening took besides.
func BenchmarkOpenLoop(b *testing.B) {
	const runtimes, inputs = 1000, 1000
	path := filepath.Join(b.TempDir(), "journal")
	fillRecords(b, path, runtimes, inputs)
	var before, opened, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		l, err := loopstore.Open(b.Context(), disk.New(path, disk.Options{}), "", loopstore.Options{})
		require.NoError(b, err)
		runtime.ReadMemStats(&during)
		runtime.GC()
		runtime.ReadMemStats(&opened)
		require.Equal(b, runtimes*inputs, l.Stats().Held.InputStates)
		require.NoError(b, l.Close())
	}
	b.ReportMetric(float64(opened.HeapAlloc-before.HeapAlloc)/(1<<20), "state-MB")
	b.ReportMetric(float64(during.HeapSys-during.HeapReleased)/(1<<20), "heap-MB")
}

// fillRecords makes a journal of a State's records, in batches.
func fillRecords(b *testing.B, path string, runtimes, inputs int) {
	var s state.State
	for r := range runtimes {
		id := store.RuntimeID(fmt.Sprint("runtime-", r))
		for n := range inputs {
			var input store.InputID
			binary.BigEndian.PutUint64(input[:], uint64(r*inputs+n))
			s.PutInputState(id, new(store.NewInputState(input, store.Time{})))
		}
		s.Settle()
	}
	engine := disk.New(path, disk.Options{})
	j, err := engine.Open(b.Context(), "", func(journal.Change) error { return nil })
	require.NoError(b, err)
	var batch journal.Batch
	flush := func() {
		batch.ID[0]++
		_, err := j.Append(b.Context(), batch)
		require.NoError(b, err)
		batch.Changes = batch.Changes[:0]
	}
	for c := range s.Records() {
		if batch.Changes = append(batch.Changes, c); len(batch.Changes) == 10_000 {
			flush()
		}
	}
	flush()
	require.NoError(b, j.Close(b.Context()))
}
