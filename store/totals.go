package store

// Totals say how much a store, or a runtime, holds.
type Totals struct {
	Runtimes    int `json:"runtimes"` // 1 or 0 of one runtime
	InputStates int `json:"input_states"`
	Runs        int `json:"runs"` // that have receipts
	Receipts    int `json:"receipts"`
	Snapshots   int `json:"snapshots"`  // latest ones of runtimes
	Versions    int `json:"versions"`   // earlier ones
	Sessions    int `json:"sessions"`   // snapshots that are filed under a session's id
	Keys        int `json:"keys"`       // idempotency keys that runtimes keep without their inputs; not those of tombstones
	Tombstones  int `json:"tombstones"` // of runtimes that were deleted

	RuntimeBytes  int64 `json:"runtime_bytes"` // of ids, labels, keys and tombstones, and what there is once for each runtime
	InputBytes    int64 `json:"input_bytes"`
	ReceiptBytes  int64 `json:"receipt_bytes"`  // of runs, too, and what is left of those that were dropped
	SnapshotBytes int64 `json:"snapshot_bytes"` // a part that several have is counted once
}

// Bytes returns about how many bytes all of it takes in memory: the length of
// texts, lists and payloads, and a fixed amount for each record, which is no less
// than what the store needs for it.
func (t Totals) Bytes() int64 {
	return t.RuntimeBytes + t.InputBytes + t.ReceiptBytes + t.SnapshotBytes
}

// Parts returns the parts that Bytes adds up, each with a name such as "input_states".
// The snapshots are those of runtimes, earlier ones too, and those that are filed.
func (t Totals) Parts() []struct {
	Name  string
	Items int
	Bytes int64
} {
	return []struct {
		Name  string
		Items int
		Bytes int64
	}{
		{"runtimes", t.Runtimes, t.RuntimeBytes},
		{"input_states", t.InputStates, t.InputBytes},
		{"receipts", t.Receipts, t.ReceiptBytes},
		{"snapshots", t.Snapshots + t.Versions + t.Sessions, t.SnapshotBytes},
	}
}

// Plus returns the sum of both.
func (t Totals) Plus(u Totals) Totals {
	return Totals{
		Runtimes: t.Runtimes + u.Runtimes, InputStates: t.InputStates + u.InputStates,
		Runs: t.Runs + u.Runs, Receipts: t.Receipts + u.Receipts,
		Snapshots: t.Snapshots + u.Snapshots, Versions: t.Versions + u.Versions, Sessions: t.Sessions + u.Sessions,
		Keys: t.Keys + u.Keys, Tombstones: t.Tombstones + u.Tombstones,
		RuntimeBytes: t.RuntimeBytes + u.RuntimeBytes, InputBytes: t.InputBytes + u.InputBytes,
		ReceiptBytes: t.ReceiptBytes + u.ReceiptBytes, SnapshotBytes: t.SnapshotBytes + u.SnapshotBytes,
	}
}
