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
	snapshotBytes = 320
	filedBytes    = 150 // of a snapshot, besides
)

// count counts what stands in a part n times, 1 or -1, and nothing if nothing
// does.
func count(t *store.Totals, of kind, v value, n int) {
	switch {
	case of == anInput && v.input != nil:
		t.InputStates += n
		t.InputBytes += int64(n * (inputBytes + v.input.PayloadBytes()))
	case of == aReceipt && v.receipt != nil:
		t.Receipts += n
		t.ReceiptBytes += int64(n * v.receipt.bytes())
	case of == aRun && v.run != nil:
		t.Runs += n
		t.ReceiptBytes += int64(n * runBytes)
		for receipt := range v.run.receipts.all() {
			count(t, aReceipt, value{receipt: receipt}, n)
		}
	case of == aDropped && v.dropped != nil:
		t.ReceiptBytes += int64(n * droppedBytes)
	case of == theSnapshot && v.snapshot != nil:
		t.Snapshots += n
		t.SnapshotBytes += int64(n * (snapshotBytes + v.snapshot.Len()))
	case of == aFiled && v.filed != nil:
		t.Sessions += n
		t.SnapshotBytes += int64(n * (snapshotBytes + filedBytes + v.filed.snapshot.Len()))
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

func plus(a, b store.Totals) store.Totals { return minus(a, minus(store.Totals{}, b)) }

func minus(a, b store.Totals) store.Totals {
	return store.Totals{
		Runtimes: a.Runtimes - b.Runtimes, InputStates: a.InputStates - b.InputStates,
		Runs: a.Runs - b.Runs, Receipts: a.Receipts - b.Receipts,
		Snapshots: a.Snapshots - b.Snapshots, Sessions: a.Sessions - b.Sessions,
		RuntimeBytes: a.RuntimeBytes - b.RuntimeBytes, InputBytes: a.InputBytes - b.InputBytes,
		ReceiptBytes: a.ReceiptBytes - b.ReceiptBytes, SnapshotBytes: a.SnapshotBytes - b.SnapshotBytes,
	}
}
