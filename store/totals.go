package store

// Totals say how much a State, or a runtime, holds.
type Totals struct {
	Runtimes    int // 1 or 0 of one runtime
	InputStates int
	Runs        int // that have receipts
	Receipts    int
	Snapshots   int // latest ones of runtimes
	Sessions    int // snapshots that are filed under a session's id

	RuntimeBytes  int64 // of ids, and what there is once for each runtime
	InputBytes    int64
	ReceiptBytes  int64
	SnapshotBytes int64 // one that is filed too is counted twice
}

// Bytes are about what all of it takes in memory: the length of texts, lists
// and payloads, and a fixed amount for each record that is no less than what
// the store itself needs for it.
func (t Totals) Bytes() int64 {
	return t.RuntimeBytes + t.InputBytes + t.ReceiptBytes + t.SnapshotBytes
}

// plus returns the sum of two.
func (t Totals) plus(other Totals) Totals {
	t.Runtimes += other.Runtimes
	t.InputStates += other.InputStates
	t.Runs += other.Runs
	t.Receipts += other.Receipts
	t.Snapshots += other.Snapshots
	t.Sessions += other.Sessions
	t.RuntimeBytes += other.RuntimeBytes
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
	t.RuntimeBytes -= other.RuntimeBytes
	t.InputBytes -= other.InputBytes
	t.ReceiptBytes -= other.ReceiptBytes
	t.SnapshotBytes -= other.SnapshotBytes
	return t
}

// What a record takes in memory beyond its texts, lists and payloads. A test
// measures that it is no more.
const (
	runtimeBytes  = 800
	inputBytes    = 400
	receiptBytes  = 160 // with one contributing input
	snapshotBytes = 256
	idBytes       = 16
	historyBytes  = 80
)

func totalsOfRuntime(id RuntimeID) Totals {
	return Totals{Runtimes: 1, RuntimeBytes: runtimeBytes + int64(len(id))}
}

// totalsOfInput is of none if s is nil, as are the others.
func totalsOfInput(s *InputState) Totals {
	if s == nil {
		return Totals{}
	}
	n := inputBytes + len(s.PersistedInput) + textBytes(s.IdempotencyKey) + len(s.History)*historyBytes
	for i := range s.History {
		n += textBytes(s.History[i].Reason)
	}
	if r := s.ReconstructionSource; r != nil {
		n += len(r.RuleID) + len(r.SourceEventID) + len(r.SourceInputIDs)*idBytes
	}
	return Totals{InputStates: 1, InputBytes: int64(n)}
}

func textBytes(text *string) int {
	if text == nil {
		return 0
	}
	return len(*text)
}

func totalsOfReceipt(r *Receipt) Totals {
	if r == nil {
		return Totals{}
	}
	n := receiptBytes
	if r.rest != nil {
		n += len(r.rest.ids)*idBytes + len(r.rest.digest)
	}
	return Totals{Receipts: 1, ReceiptBytes: int64(n)}
}

func totalsOfFiled(f filed) Totals {
	if f.snapshot == nil {
		return Totals{}
	}
	return Totals{Sessions: 1, SnapshotBytes: totalsOfSnapshot(f.snapshot).SnapshotBytes}
}

func totalsOfSnapshot(s *Snapshot) Totals {
	if s == nil {
		return Totals{}
	}
	return Totals{Snapshots: 1, SnapshotBytes: int64(snapshotBytes + s.Len())}
}
