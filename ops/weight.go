package ops

import (
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A Weight says how much an operation brings in. It is weighed before Prepare,
// so one that is too heavy costs nothing more.
type Weight struct {
	Snapshot int   // bytes of the largest session snapshot
	Writes   int   // of a batch, or conditions, if they are more
	Bytes    int64 // of payloads, about: snapshots, inputs with their histories, receipts
}

// Check refuses what is over a limit of a single call. The error is a
// *store.LimitError.
func (w Weight) Check(limits store.Limits) error {
	return state.CheckCall(limits, int64(w.Snapshot), w.Writes)
}

// snapshotWeight is the weight of a snapshot.
func snapshotWeight(b []byte) Weight { return Weight{Snapshot: len(b), Bytes: int64(len(b))} }

func (w *Weight) addInputs(states []store.InputState) {
	for i := range states {
		w.Bytes += int64(states[i].PayloadBytes())
	}
}

// Weigh weighs the snapshot and the updates.
func (op *CommitSessionBoundary) Weigh() Weight {
	w := snapshotWeight(op.Commit.Session.SessionSnapshot)
	w.Writes = len(op.Commit.If)
	w.Bytes += int64(len(store.InputID{}) * len(op.Commit.ContributingInputIDs))
	w.addInputs(op.Commit.InputUpdates)
	return w
}

// Weigh weighs the snapshot, the receipt and the updates.
func (op *AtomicApply) Weigh() (w Weight) {
	if op.Commit.Session != nil {
		w = snapshotWeight(op.Commit.Session.SessionSnapshot)
	}
	w.Writes = len(op.Commit.If)
	w.Bytes += int64(op.Commit.Receipt.PayloadBytes())
	w.addInputs(op.Commit.InputUpdates)
	return w
}

// Weigh weighs the state.
func (op *PersistInputState) Weigh() Weight { return Weight{Bytes: int64(op.State.PayloadBytes())} }

// Weigh weighs the states.
func (op *AtomicLifecycleCommit) Weigh() (w Weight) {
	w.Writes = len(op.Commit.If)
	w.addInputs(op.Commit.InputStates)
	return w
}

// Weigh weighs the snapshot.
func (op *putSnapshot) Weigh() Weight { return snapshotWeight(op.session.given.SessionSnapshot) }

// Weigh weighs all writes.
func (op *Commit) Weigh() Weight {
	op.open()
	w := Weight{Writes: max(len(op.Batch.Then), len(op.Batch.If))}
	for _, write := range op.writes {
		if write != nil {
			one := write.Weigh()
			w.Snapshot, w.Writes = max(w.Snapshot, one.Snapshot), max(w.Writes, one.Writes)
			w.Bytes += one.Bytes
		}
	}
	return w
}
