package store

// run holds the receipts of one run, by sequence. It does not change any more
// once a copy of it was made.
type run struct {
	id       RunID
	receipts list[*RunBoundaryReceipt]
	highest  uint64
	copies   int // the runtime's, when this was made
}

// copy returns a run with the same receipts, none if r is nil.
func (r *run) copy(id RunID, copies int) *run {
	c := &run{id: id, copies: copies}
	if r != nil {
		receipts := r.receipts // to copy a list is to write to it, and a view may be reading r's
		c.receipts, c.highest = receipts.copy(), r.highest
	}
	return c
}

func (r *run) put(receipt *RunBoundaryReceipt) {
	r.receipts.set(receipt.Sequence, receipt)
	r.highest = max(r.highest, receipt.Sequence)
}

func (r *run) get(sequence uint64) *RunBoundaryReceipt {
	receipt, _ := r.receipts.get(sequence)
	return receipt
}
