//go:build !race

package ops_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A recordKind is a kind of record that a State holds many of.
type recordKind struct {
	n    int
	most int64
	put  call
	held func(store.Totals) (count int, bytes int64)
}

// What a record takes in memory is no more than Totals.Bytes counts for it, and
// than these, which are promised.
func TestBytesPerRecord(t *testing.T) {
	if testing.Short() {
		t.Skip("a million records")
	}
	full := accepted(1)
	full.Policy = &store.PolicySnapshot{Decision: store.PolicyDecision{
		ApplyMode: store.StageRunStart, WakeMode: store.WakeIfIdle, QueueMode: store.QueueFIFO, ConsumePoint: store.ConsumeOnApply,
	}}
	full.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeConsumed}
	full.ReconstructionSource = &store.ReconstructionSource{Type: store.SourceProjection, RuleID: "r", SourceEventID: "e"}
	full.LastRunID, full.LastBoundarySequence = new(store.RunID), new(uint64)
	full.History = []store.HistoryEntry{{From: store.InputAccepted, To: store.InputQueued, Reason: new("because")}}
	digest := strings.Repeat("0123456789abcdef", 4)
	kinds := map[string]recordKind{
		"receipts with one input": {
			n: 1_000_000, most: 160,
			held: func(held store.Totals) (int, int64) { return held.Receipts, held.ReceiptBytes },
			put: func(s *state.State) error {
				i := s.Totals().Receipts
				return callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{Receipt: store.RunBoundaryReceipt{
					RunID: store.RunID{byte(i % 100)}, Boundary: store.RunStart, Sequence: uint64(i / 100),
					ContributingInputIDs: []store.InputID{{1}}, ConversationDigest: &digest,
				}}})(s)
			},
		},
		"bare inputs": {
			n: 1_000_000, most: 400,
			held: func(held store.Totals) (int, int64) { return held.InputStates, held.InputBytes },
			put: func(s *state.State) error {
				id := store.InputID{0: 1}
				binary.BigEndian.PutUint64(id[8:], uint64(s.Totals().InputStates))
				return callOf(ops.PersistInputState{RuntimeID: "a", State: store.NewInputState(id, store.Time{})})(s)
			},
		},
		"runs of one receipt": {
			n: 100_000, most: 320,
			held: func(held store.Totals) (int, int64) { return held.Runs, held.ReceiptBytes },
			put: func(s *state.State) error {
				run := store.RunID{0: 1}
				binary.BigEndian.PutUint64(run[8:], uint64(s.Totals().Runs))
				return callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{Receipt: store.RunBoundaryReceipt{
					RunID: run, Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}}, ConversationDigest: &digest,
				}}})(s)
			},
		},
		"full inputs": {
			n: 100_000, most: 1200,
			held: func(held store.Totals) (int, int64) { return held.InputStates, held.InputBytes },
			put: func(s *state.State) error {
				n := s.Totals().InputStates
				in := full
				in.InputID, in.IdempotencyKey = store.InputID{0: 1}, new(fmt.Sprint("key ", n))
				binary.BigEndian.PutUint64(in.InputID[8:], uint64(n))
				return callOf(ops.PersistInputState{RuntimeID: "a", State: in})(s)
			},
		},
		"runtimes with a little of everything": {
			n: 30_000, most: 3000,
			held: func(held store.Totals) (int, int64) { return held.Runtimes, held.Bytes() },
			put: func(s *state.State) error {
				n := s.Totals().Runtimes
				id := store.RuntimeID(fmt.Sprintf("agent-%08d", n))
				in := store.NewInputState(store.InputID{1}, store.Time{})
				in.IdempotencyKey = new("key")
				key := store.SessionID{0: 1}
				binary.BigEndian.PutUint64(key[8:], uint64(n))
				return callOf(ops.AtomicApply{RuntimeID: id, Commit: store.BoundaryApply{
					Session: &store.SessionDelta{SessionSnapshot: []byte("any")}, SessionStoreKey: &key,
					Receipt:      store.RunBoundaryReceipt{Boundary: store.RunStart, ConversationDigest: &digest},
					InputUpdates: []store.InputState{in},
				}})(s)
			},
		},
		"filed documents": {
			n: 57_400, most: 900,
			held: func(held store.Totals) (int, int64) { return held.Sessions, held.SnapshotBytes },
			put: func(s *state.State) error {
				key := store.SessionID{0: 1}
				binary.BigEndian.PutUint64(key[8:], uint64(s.Totals().Sessions))
				doc := fmt.Appendf(nil, `{"id":"%s","messages":[],"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"updated_at":{"secs_since_epoch":3,"nanos_since_epoch":4}}`, key)
				return callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{
					Session: &store.SessionDelta{SessionSnapshot: doc}, SessionStoreKey: &key,
					Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart},
				}})(s)
			},
		},
		"filed bytes": {
			n: 57_400, most: 600,
			held: func(held store.Totals) (int, int64) { return held.Sessions, held.SnapshotBytes },
			put: func(s *state.State) error {
				key := store.SessionID{0: 1}
				binary.BigEndian.PutUint64(key[8:], uint64(s.Totals().Sessions))
				return callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{
					Session: &store.SessionDelta{SessionSnapshot: []byte("any")}, SessionStoreKey: &key,
					Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart},
				}})(s)
			},
		},
		"receipts with three inputs": {
			n: 200_000, most: 300,
			held: func(held store.Totals) (int, int64) { return held.Receipts, held.ReceiptBytes },
			put: func(s *state.State) error {
				return callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{Receipt: store.RunBoundaryReceipt{
					Boundary: store.RunStart, Sequence: uint64(s.Totals().Receipts),
					ContributingInputIDs: []store.InputID{{1}, {2}, {3}}, ConversationDigest: &digest,
				}}})(s)
			},
		},
		"receipts with a text for a digest": {
			n: 200_000, most: 300,
			held: func(held store.Totals) (int, int64) { return held.Receipts, held.ReceiptBytes },
			put: func(s *state.State) error {
				return callOf(ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{Receipt: store.RunBoundaryReceipt{
					Boundary: store.RunStart, Sequence: uint64(s.Totals().Receipts), ConversationDigest: new("not a digest"),
				}}})(s)
			},
		},
		"dropped runs": {
			n: 200_000, most: 100,
			held: func(held store.Totals) (int, int64) {
				return int(held.ReceiptBytes-160-160) / 100, held.ReceiptBytes - 160 - 160
			},
			put: func(s *state.State) error {
				run := store.RunID{0: 1}
				binary.BigEndian.PutUint64(run[8:], s.Revision())
				s.Retention.Runs = 1
				if s.Revision() == 0 {
					s.PutReceipt("a", state.NewReceipt(&store.RunBoundaryReceipt{Boundary: store.RunStart}))
				}
				s.UseSequences("a", run, 0)
				s.Settle()
				return nil
			},
		},
		"snapshots of runtimes": {
			n: 30_000, most: 2000,
			held: func(held store.Totals) (int, int64) { return held.Runtimes, held.Bytes() },
			put: func(s *state.State) error {
				id := store.RuntimeID(fmt.Sprintf("agent-%08d", s.Totals().Runtimes))
				return callOf(ops.CommitSessionBoundary{RuntimeID: id, Commit: commitWith(documentOf(conversation))})(s)
			},
		},
		"versions of a session": {
			n: 30_000, most: 700,
			held: func(held store.Totals) (int, int64) { return held.Versions + 1, held.SnapshotBytes },
			put: func(s *state.State) error {
				s.Retention.Sessions.Last = math.MaxInt
				text := fmt.Appendf(nil, "version %d\n", s.Totals().Versions)
				return callOf(ops.Commit{Batch: batch.Batch{Then: []batch.Write{
					batch.PutSnapshot{RuntimeID: "a", Snapshot: text, Format: store.FormatOpaque},
				}}})(s)
			},
		},
		"bare runtimes": {
			n: 100_000, most: 800,
			held: func(held store.Totals) (int, int64) { return held.Runtimes, held.RuntimeBytes },
			put: func(s *state.State) error {
				id := store.RuntimeID(fmt.Sprintf("agent-%08d", s.Totals().Runtimes))
				return callOf(ops.PersistRuntimeState{RuntimeID: id, State: store.RuntimeIdle})(s)
			},
		},
	}
	kinds = withKeys(kinds)
	for part, add := range map[string]func(in *store.InputState){
		"a policy":   func(in *store.InputState) { in.Policy = full.Policy },
		"an outcome": func(in *store.InputState) { in.TerminalOutcome = full.TerminalOutcome },
		"a key":      func(in *store.InputState) { in.IdempotencyKey = new(in.InputID.String()) },
		"a source":   func(in *store.InputState) { in.ReconstructionSource = full.ReconstructionSource },
		"a source of inputs": func(in *store.InputState) {
			in.ReconstructionSource = &store.ReconstructionSource{Type: store.SourceCoalescing, SourceInputIDs: make([]store.InputID, 3)}
		},
		"a last run":      func(in *store.InputState) { in.LastRunID = full.LastRunID },
		"a last sequence": func(in *store.InputState) { in.LastBoundarySequence = full.LastBoundarySequence },
		"three steps": func(in *store.InputState) {
			in.History = make([]store.HistoryEntry, 3)
			for i := range in.History {
				in.History[i] = full.History[0]
			}
		},
		"a payload":    func(in *store.InputState) { in.PersistedInput = []byte(`"` + digest + `"`) },
		"a durability": func(in *store.InputState) { in.Durability = store.Durable },
	} {
		kinds["inputs with "+part] = recordKind{
			n: 57_400, most: 1200,
			held: func(held store.Totals) (int, int64) { return held.InputStates, held.InputBytes },
			put: func(s *state.State) error {
				in := store.NewInputState(store.InputID{0: 1}, store.Time{})
				binary.BigEndian.PutUint64(in.InputID[8:], uint64(s.Totals().InputStates))
				add(&in)
				return callOf(ops.PersistInputState{RuntimeID: "a", State: in})(s)
			},
		}
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			var s state.State
			before := heap()
			for range kind.n {
				if err := kind.put(&s); err != nil {
					require.NoError(t, err)
				}
			}
			n := int64(kind.n)
			each := int64(heap()-before) / n
			count, counted := kind.held(s.Totals())
			t.Logf("%d bytes each, %d are counted", each, counted/n)
			assert.Equal(t, kind.n, count)
			assert.LessOrEqual(t, each, kind.most)
			assert.LessOrEqual(t, each, counted/n)
			runtime.KeepAlive(&s)
		})
	}
}

// withKeys adds what is kept of inputs and runtimes that are gone, and labels.
func withKeys(kinds map[string]recordKind) map[string]recordKind {
	forever := store.Keep{Last: math.MaxInt}
	keyed := func(n int, key string) store.InputState {
		in := store.NewInputState(store.InputID{0: 1}, store.Time{})
		in.IdempotencyKey = &key
		binary.BigEndian.PutUint64(in.InputID[8:], uint64(n))
		return in
	}
	runtimes := func(held store.Totals) (int, int64) { return held.Runtimes, held.RuntimeBytes }
	next := func(s *state.State) store.RuntimeID {
		return store.RuntimeID(fmt.Sprintf("agent-%08d", s.Totals().Runtimes+s.Totals().Tombstones))
	}
	kinds["keys that are kept"] = recordKind{
		n: 57_400, most: 260,
		held: func(held store.Totals) (int, int64) { return held.Keys, held.RuntimeBytes },
		put: func(s *state.State) error {
			s.Retention.Keys = forever
			in := keyed(s.Totals().Keys, fmt.Sprintf("key %036d", s.Totals().Keys))
			return callOf(ops.Commit{Batch: batch.Batch{Then: []batch.Write{
				batch.PutInputState{RuntimeID: "a", State: in}, batch.DeleteInputState{RuntimeID: "a", InputID: in.InputID},
			}}})(s)
		},
	}
	for name, keys := range map[string]int{"tombstones": 0, "tombstones with a key": 1, "tombstones with keys": 20} {
		kinds[name] = recordKind{
			n: 57_400 / (1 + keys), most: 320 + int64(keys)*250,
			held: func(held store.Totals) (int, int64) { return held.Tombstones, held.RuntimeBytes },
			put: func(s *state.State) error {
				s.Retention.Keys, s.Tombstones = forever, forever
				id := next(s)
				then := []batch.Write{batch.PutRuntimeState{RuntimeID: id, State: store.RuntimeIdle}}
				for n := range keys {
					then = append(then, batch.PutInputState{RuntimeID: id, State: keyed(n, fmt.Sprintf("key %036d", n))})
				}
				return callOf(ops.Commit{Batch: batch.Batch{Then: append(then, batch.DeleteRuntime{RuntimeID: id})}})(s)
			},
		}
	}
	for _, n := range []int{1, 2, 9, store.MaxLabels} {
		kinds[fmt.Sprintf("runtimes with %d labels", n)] = recordKind{
			n: 57_400 / (1 + n), most: 3600, held: runtimes,
			put: func(s *state.State) error {
				labels := make(map[string]string)
				for i := range n {
					labels[fmt.Sprintf("label %d", i)] = "value"
				}
				return callOf(ops.Commit{Batch: batch.Batch{Then: []batch.Write{batch.PutLabels{RuntimeID: next(s), Labels: labels}}}})(s)
			},
		}
	}
	kinds["runtimes with a key that is kept"] = recordKind{
		n: 30_000, most: 1800, held: runtimes,
		put: func(s *state.State) error {
			s.Retention.Keys = forever
			id, in := next(s), keyed(1, "key")
			return callOf(ops.Commit{Batch: batch.Batch{Then: []batch.Write{
				batch.PutInputState{RuntimeID: id, State: in}, batch.DeleteInputState{RuntimeID: id, InputID: in.InputID},
			}}})(s)
		},
	}
	kinds["runtimes that were brought back"] = recordKind{
		n: 30_000, most: 1300, held: runtimes,
		put: func(s *state.State) error {
			s.Tombstones = forever
			id := next(s)
			return callOf(ops.Commit{Batch: batch.Batch{Then: []batch.Write{
				batch.PutReceipt{RuntimeID: id, Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart}},
				batch.DeleteRuntime{RuntimeID: id}, batch.ReviveRuntime{RuntimeID: id},
			}}})(s)
		},
	}
	kinds["inputs with a key that two have"] = recordKind{
		n: 57_400, most: 1200,
		held: func(held store.Totals) (int, int64) { return held.InputStates, held.InputBytes },
		put: func(s *state.State) error {
			n := s.Totals().InputStates
			return callOf(ops.PersistInputState{RuntimeID: "a", State: keyed(n, fmt.Sprintf("key %d", n/2))})(s)
		},
	}
	return kinds
}

// heap returns how much of the heap is in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools have let go in the first
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
