package disk_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/state"
)

var openRuntimes = flag.Int("runtimes", 10_000, "how many runtimes BenchmarkOpenLoop opens with a session, inputs and receipts each")

// BenchmarkOpenLoop opens a store of runtimes that each have a session of 10 KB, 20 inputs
// and 20 receipts, and one of 1,000 runtimes with 1,000 bare inputs each. It reports the
// heap that stands then, and the most that there was on the way as a multiple of it.
func BenchmarkOpenLoop(b *testing.B) {
	b.Run(fmt.Sprint("runtimes=", *openRuntimes), func(b *testing.B) {
		benchmarkOpenLoop(b, *openRuntimes, func(s *state.State, id store.RuntimeID, number int) {
			text := store.SnapshotOf([]byte(strings.Repeat(fmt.Sprintf("message %d of %v\n", number, id), 10<<10/25)))
			s.PutSnapshot(id, &text, nil)
			for n := range 20 {
				s.PutInputState(id, usualInput(number*20+n))
				s.PutReceipt(id, state.NewReceipt(&store.RunBoundaryReceipt{
					RunID: store.RunID(numbered(number)), Boundary: store.RunStart, Sequence: uint64(n), MessageCount: uint64(n),
					ContributingInputIDs: []store.InputID{store.InputID(numbered(number*20 + n))},
					ConversationDigest:   new(strings.Repeat("1a", 32)),
				}))
			}
		})
	})
	b.Run("inputs=1000000", func(b *testing.B) {
		benchmarkOpenLoop(b, 1000, func(s *state.State, id store.RuntimeID, number int) {
			for n := range 1000 {
				s.PutInputState(id, new(store.NewInputState(store.InputID(numbered(number*1000+n)), store.Time{})))
			}
		})
	})
}

func numbered(n int) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

// usualInput is one that was queued, with a policy, two transitions and a payload.
func usualInput(n int) *store.InputState {
	at := store.TimeOf(time.Unix(1773331026+int64(n), 250_001_000))
	s := store.NewInputState(store.InputID(numbered(n)), at)
	s.CurrentState, s.Durability = store.InputStaged, store.Durable
	s.Policy = &store.PolicySnapshot{Version: 1, Decision: store.PolicyDecision{
		ApplyMode: store.StageRunBoundary, WakeMode: store.WakeIfIdle, QueueMode: store.QueueFIFO, ConsumePoint: store.ConsumeOnApply,
	}}
	s.History = []store.HistoryEntry{
		{Timestamp: at, From: store.InputAccepted, To: store.InputQueued},
		{Timestamp: at, From: store.InputQueued, To: store.InputStaged},
	}
	s.PersistedInput = fmt.Appendf(nil, `{"input_type":"prompt","text":"the text of input %d","tags":["a","b"]}`, n)
	return &s
}

func benchmarkOpenLoop(b *testing.B, runtimes int, fill func(s *state.State, id store.RuntimeID, number int)) {
	path := filepath.Join(b.TempDir(), "journal")
	records := fillRecords(b, path, runtimes, fill)
	before := liveHeap()
	var most, stands uint64
	for b.Loop() {
		stop := sampleHeap(&most)
		l, err := loopstore.Open(b.Context(), disk.New(path, disk.Options{}), "", loopstore.Options{})
		stop()
		b.StopTimer()
		require.NoError(b, err)
		require.Equal(b, runtimes, l.Stats().Held.Runtimes)
		stands = liveHeap() - before
		require.NoError(b, l.Close())
		runtime.GC()
		b.StartTimer()
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(stands)/(1<<20), "MB-live")
	b.ReportMetric(float64(most-before)/float64(stands), "peak/live")
}

var heapMetric = []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}

func heap() uint64 {
	metrics.Read(heapMetric)
	return heapMetric[0].Value.Uint64()
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // what the first has not swept
	return heap()
}

// sampleHeap keeps the largest heap that there is until stop is called.
func sampleHeap(most *uint64) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			*most = max(*most, heap())
			select {
			case <-ended:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

// fillRecords makes a journal of a State's records, in batches, and returns how many
// there are.
func fillRecords(b *testing.B, path string, runtimes int, fill func(s *state.State, id store.RuntimeID, number int)) (records int) {
	var s state.State
	for number := range runtimes {
		fill(&s, store.RuntimeID(fmt.Sprint("runtime-", number)), number)
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
		records++
		if batch.Changes = append(batch.Changes, c); len(batch.Changes) == 10_000 {
			flush()
		}
	}
	flush()
	require.NoError(b, j.Compact(b.Context(), nil)) // leaves nothing in the log, which would go into the pages meanwhile
	require.NoError(b, j.Close(b.Context()))
	return records
}
