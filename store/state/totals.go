package state

import "github.com/loopstore/loopstore/store"

// What a record takes in memory beyond its texts, lists and payloads, with its
// share of maps and lists. A test measures that it is no more.
const (
	runtimeBytes  = 1200
	inputBytes    = 400
	receiptBytes  = 160 // with one contributing input
	restBytes     = 64  // of a receipt with more, or with a text for a digest
	runBytes      = 160
	droppedBytes  = 100 // what is left of a run
	snapshotBytes = 320 // but for its text
	versionBytes  = 400 // of an earlier one, likewise
	partBytes     = 170 // of a text
	filedBytes    = 150 // of a snapshot, besides
	keyBytes      = 200 // that is kept without its input, but for its text
	keysBytes     = 400 // of a runtime that has any, besides
	stoneBytes    = 260 // of a deleted runtime, but for its id and keys
	labelBytes    = 90  // but for its texts
	labelsBytes   = 400 // of a runtime that has any, besides
)

// size returns how many a value of a part counts for, and how many bytes.
func (v *value) size(of kind) (n int, bytes int64) {
	switch {
	case of == anInput && v.input.there():
		return 1, int64(inputBytes + v.input.PayloadBytes())
	case of == aReceipt && v.receipt != nil:
		return 1, int64(v.receipt.bytes())
	case of == aRun && v.run != nil: // without its receipts
		return 1, runBytes
	case of == aDropped && v.dropped != nil:
		return 1, droppedBytes
	case of == theSession && v.version != nil:
		return 1, snapshotBytes
	case of == aPast && v.version != nil:
		return 1, versionBytes
	case of == aFiled && v.filed != nil:
		return 1, snapshotBytes + filedBytes
	case of == theLabels && v.labels != nil:
		return 0, sizeOfLabels(v.labels)
	case of == aKey && v.key != nil:
		return 1, v.key.bytes()
	case of == aTombstone && v.stone != nil:
		return 1, v.stone.bytes()
	}
	return 0, 0
}

// add adds to the totals of a kind of part.
func add(t *store.Totals, of kind, n int, bytes int64) {
	switch of {
	case anInput:
		t.InputStates += n
		t.InputBytes += bytes
	case aReceipt:
		t.Receipts += n
		t.ReceiptBytes += bytes
	case aRun:
		t.Runs += n
		t.ReceiptBytes += bytes
	case aDropped:
		t.ReceiptBytes += bytes
	case theSession:
		t.Snapshots += n
		t.SnapshotBytes += bytes
	case aPast:
		t.Versions += n
		t.SnapshotBytes += bytes
	case aFiled:
		t.Sessions += n
		t.SnapshotBytes += bytes
	case theLabels:
		t.RuntimeBytes += bytes
	case aKey:
		t.Keys += n
		t.RuntimeBytes += bytes
	case aTombstone:
		t.Tombstones += n
		t.RuntimeBytes += bytes
	}
}

func sizeOfLabels(labels map[string]string) int64 {
	n := labelsBytes
	for key, value := range labels {
		n += labelBytes + len(key) + len(value)
	}
	return int64(n)
}

func (u *usedKey) bytes() int64 { return int64(keyBytes + len(u.key)) }

func (t *tombstone) bytes() int64 {
	n := int64(stoneBytes + len(t.id))
	for _, u := range t.keys {
		n += u.bytes()
	}
	return n
}

// countReceipts counts the receipts of a run, nil if there is none, n times, 1 or
// -1.
func (s *State) countReceipts(rt *runtime, r *run, n int) {
	if r != nil {
		addReceipts(&rt.held, r, n)
		addReceipts(&s.held, r, n)
	}
}

// addReceipts adds the receipts of a run to totals n times, 1 or -1.
func addReceipts(t *store.Totals, r *run, n int) {
	for receipt := range r.receipts.all() {
		add(t, aReceipt, n, int64(n*receipt.bytes()))
	}
}

func (r *Receipt) bytes() int {
	if r.rest == nil {
		return receiptBytes
	}
	return receiptBytes + restBytes + len(r.rest.ids)*len(store.InputID{}) + len(r.rest.digest)
}

// countRuntime counts a runtime with nothing in it.
func countRuntime(t *store.Totals, id store.RuntimeID) {
	t.Runtimes++
	t.RuntimeBytes += int64(runtimeBytes + len(id))
}

// withTexts adds the bytes of texts.
func withTexts(t store.Totals, bytes int64) store.Totals {
	t.SnapshotBytes += bytes
	return t
}

func minus(a, b store.Totals) store.Totals {
	return store.Totals{
		Runtimes: a.Runtimes - b.Runtimes, InputStates: a.InputStates - b.InputStates,
		Runs: a.Runs - b.Runs, Receipts: a.Receipts - b.Receipts,
		Snapshots: a.Snapshots - b.Snapshots, Versions: a.Versions - b.Versions, Sessions: a.Sessions - b.Sessions,
		Keys: a.Keys - b.Keys, Tombstones: a.Tombstones - b.Tombstones,
		RuntimeBytes: a.RuntimeBytes - b.RuntimeBytes, InputBytes: a.InputBytes - b.InputBytes,
		ReceiptBytes: a.ReceiptBytes - b.ReceiptBytes, SnapshotBytes: a.SnapshotBytes - b.SnapshotBytes,
	}
}
