package store

// Totals say how much a State, or a runtime, holds.
type Totals struct {
	Runtimes    int // 1 or 0 of one runtime
	InputStates int
	Runs        int // that have receipts
	Receipts    int
	Snapshots   int // latest ones of runtimes
	Sessions    int // snapshots that are filed under a session's id

	InputBytes    int64
	ReceiptBytes  int64
	SnapshotBytes int64 // one that is filed too is counted twice
}

// Bytes are about what all of it takes in memory: the length of texts, lists
// and payloads, and a fixed amount for each record that is no less than what
// the store itself needs for it.
func (t Totals) Bytes() int64 { return t.InputBytes + t.ReceiptBytes + t.SnapshotBytes }

// plus returns the sum of two.
func (t Totals) plus(other Totals) Totals {
	t.Runtimes += other.Runtimes
	t.InputStates += other.InputStates
	t.Runs += other.Runs
	t.Receipts += other.Receipts
	t.Snapshots += other.Snapshots
	t.Sessions += other.Sessions
	t.InputBytes += other.InputBytes
	t.ReceiptBytes += other.ReceiptBytes
	t.SnapshotBytes += other.SnapshotBytes
	return t
}

// minus returns what t has more than another.
func (t Totals) minus(other Totals) Totals {
	t.Runtimes -= other.Runtimes
	t.InputStates -= other.InputStates
	t.Runs -= other.Runs
	t.Receipts -= other.Receipts
	t.Snapshots -= other.Snapshots
	t.Sessions -= other.Sessions
	t.InputBytes -= other.InputBytes
	t.ReceiptBytes -= other.ReceiptBytes
	t.SnapshotBytes -= other.SnapshotBytes
	return t
}
