package store

// Totals say how much a State, or a runtime, holds.
type Totals struct {
	Runtimes    int `json:"runtimes"` // 1 or 0 of one runtime
	InputStates int `json:"input_states"`
	Runs        int `json:"runs"` // that have receipts
	Receipts    int `json:"receipts"`
	Snapshots   int `json:"snapshots"` // latest ones of runtimes
	Sessions    int `json:"sessions"`  // snapshots that are filed under a session's id

	RuntimeBytes  int64 `json:"runtime_bytes"` // of ids, and what there is once for each runtime
	InputBytes    int64 `json:"input_bytes"`
	ReceiptBytes  int64 `json:"receipt_bytes"`  // of runs, too, and what is left of those that were dropped
	SnapshotBytes int64 `json:"snapshot_bytes"` // one that is filed too is counted twice
}

// Bytes are about what all of it takes in memory: the length of texts, lists
// and payloads, and a fixed amount for each record that is no less than what
// the store itself needs for it.
func (t Totals) Bytes() int64 {
	return t.RuntimeBytes + t.InputBytes + t.ReceiptBytes + t.SnapshotBytes
}

// A Part is one kind of what is held.
type Part struct {
	Name  string // such as "input_states"
	Items int
	Bytes int64
}

// Parts are those that Bytes is made of. Snapshots are all of them, those of
// runtimes and those that are filed.
func (t Totals) Parts() []Part {
	return []Part{
		{"runtimes", t.Runtimes, t.RuntimeBytes},
		{"input_states", t.InputStates, t.InputBytes},
		{"receipts", t.Receipts, t.ReceiptBytes},
		{"snapshots", t.Snapshots + t.Sessions, t.SnapshotBytes},
	}
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
	runtimeBytes  = 1200
	inputBytes    = 400
	receiptBytes  = 160 // with one contributing input
	runBytes      = 160
	droppedBytes  = 100 // of what is left of a run
	snapshotBytes = 320
)

// Each of these counts a thing n times, 1 or -1, and nothing if there is none.

func (t *Totals) addRuntime(id RuntimeID, n int) {
	t.Runtimes += n
	t.RuntimeBytes += int64(n * (runtimeBytes + len(id)))
}

func (t *Totals) addInput(s *InputState, n int) {
	if s != nil {
		t.InputStates += n
		t.InputBytes += int64(n * (inputBytes + s.PayloadBytes()))
	}
}

func (t *Totals) addReceipt(r *Receipt, n int) {
	if r == nil {
		return
	}
	bytes := receiptBytes
	if r.rest != nil {
		bytes += len(r.rest.ids)*len(InputID{}) + len(r.rest.digest)
	}
	t.Receipts += n
	t.ReceiptBytes += int64(n * bytes)
}

func (t *Totals) addRun(r *run, n int) {
	t.Runs += n
	t.ReceiptBytes += int64(n * runBytes)
	for receipt := range r.receipts.all() {
		t.addReceipt(receipt, n)
	}
}

// addDropped counts what is left of a run that was dropped.
func (t *Totals) addDropped(n int) { t.ReceiptBytes += int64(n * droppedBytes) }

func (t *Totals) addSnapshot(s *Snapshot, n int) {
	if s != nil {
		t.Snapshots += n
		t.SnapshotBytes += int64(n * (snapshotBytes + s.Len()))
	}
}

func (t *Totals) addSession(s *Snapshot, n int) {
	if s != nil {
		t.Sessions += n
		t.SnapshotBytes += int64(n * (snapshotBytes + s.Len()))
	}
}
