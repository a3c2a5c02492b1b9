package ops

import "github.com/loopstore/loopstore/store"

// A Weigher is an operation that brings in what a limit of a single call bounds.
// It is weighed before Prepare, so one that is too heavy costs nothing more.
type Weigher interface{ Weigh() Weight }

// A Weight says how much an operation brings in.
type Weight struct {
	Snapshot int   // bytes of the largest session snapshot
	Writes   int   // of a batch; its conditions, if they are more
	Bytes    int64 // of payloads, about: snapshots, inputs with their histories, receipts
}

// Check refuses what is over a limit of a single call. The error is a
// *store.LimitError.
func (w Weight) Check(limits store.Limits) error {
	if err := within("snapshot_bytes", limits.SnapshotBytes, w.Snapshot); err != nil {
		return err
	}
	return within("batch_writes", limits.BatchWrites, w.Writes)
}

func within(limit string, most, asked int) error {
	if most <= 0 || asked <= most {
		return nil
	}
	return &store.LimitError{Limit: limit, Most: int64(most), Asked: int64(asked)}
}

// snapshotWeight is the weight of a snapshot.
func snapshotWeight(b []byte) Weight { return Weight{Snapshot: len(b), Bytes: int64(len(b))} }

// addInputs adds what callers can make large in input states.
func (w *Weight) addInputs(states ...store.InputState) {
	const perEntry = 64
	for i := range states {
		s := &states[i]
		w.Bytes += int64(len(s.PersistedInput) + textBytes(s.IdempotencyKey) + perEntry*len(s.History))
		for j := range s.History {
			w.Bytes += int64(textBytes(s.History[j].Reason))
		}
		if from := s.ReconstructionSource; from != nil {
			w.Bytes += int64(len(from.RuleID)+len(from.SourceEventID)) + idBytes(from.SourceInputIDs)
		}
	}
}

func textBytes(text *string) int {
	if text == nil {
		return 0
	}
	return len(*text)
}

func idBytes(ids []store.InputID) int64 { return int64(len(ids) * len(store.InputID{})) }

// Weigh weighs the snapshot and the updates.
func (op *CommitSessionBoundary) Weigh() Weight {
	w := snapshotWeight(op.Commit.Session.SessionSnapshot)
	w.Bytes += idBytes(op.Commit.ContributingInputIDs)
	w.addInputs(op.Commit.InputUpdates...)
	return w
}

// Weigh weighs the snapshot, the receipt and the updates.
func (op *AtomicApply) Weigh() (w Weight) {
	if op.Commit.Session != nil {
		w = snapshotWeight(op.Commit.Session.SessionSnapshot)
	}
	receipt := &op.Commit.Receipt
	w.Bytes += idBytes(receipt.ContributingInputIDs) + int64(textBytes(receipt.ConversationDigest))
	w.addInputs(op.Commit.InputUpdates...)
	return w
}

// Weigh weighs the state.
func (op *PersistInputState) Weigh() (w Weight) {
	w.addInputs(op.State)
	return w
}

// Weigh weighs the states.
func (op *AtomicLifecycleCommit) Weigh() (w Weight) {
	w.addInputs(op.Commit.InputStates...)
	return w
}

// Weigh weighs the snapshot.
func (op *putSnapshot) Weigh() Weight { return snapshotWeight(op.bytes) }

// Weigh weighs all writes.
func (op *Commit) Weigh() Weight {
	op.open()
	w := Weight{Writes: max(len(op.Batch.Then), len(op.Batch.If))}
	for _, write := range op.writes {
		if heavy, ok := write.(Weigher); ok {
			one := heavy.Weigh()
			w.Snapshot = max(w.Snapshot, one.Snapshot)
			w.Bytes += one.Bytes
		}
	}
	return w
}
