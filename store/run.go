package store

// run holds the receipts of one run, by sequence. It does not change any more
// once a copy of it was made.
type run struct {
	id       RunID
	receipts list[*Receipt]
	highest  uint64
	copies   int // the runtime's, when this was made
}

// A dropped run has no receipts any more. What is left of it keeps its
// sequences from being minted again.
type dropped struct {
	id      RunID
	highest uint64
}

// copy returns a run with the same receipts.
func (r *run) copy(copies int) *run {
	receipts := r.receipts // to copy a list is to write to it, and a view may be reading r's
	return &run{id: r.id, receipts: receipts.copy(), highest: r.highest, copies: copies}
}

func (r *run) put(receipt *Receipt) {
	r.receipts.set(receipt.Sequence, receipt)
	r.highest = max(r.highest, receipt.Sequence)
}

func (r *run) get(sequence uint64) *Receipt {
	receipt, _ := r.receipts.get(sequence)
	return receipt
}
