package store

import "fmt"

// Limits bound what one call brings and what a store holds. 0 means no limit.
// A limit does not touch what was there before it was set, and a call that adds
// nothing to what is over a limit is not refused. A full store refuses larger
// values in the place of smaller ones too: leave room, and delete or prune
// before it is full.
//
// A call is checked against the first two before anything else is done with it.
type Limits struct {
	SnapshotBytes       int   `json:"snapshot_bytes"`         // of one session, all of it, also when a call appends to it
	BatchWrites         int   `json:"batch_writes"`           // of one Batch; and as many conditions
	InputsPerRuntime    int   `json:"inputs_per_runtime"`     // inputs of one runtime that have not ended
	AllInputsPerRuntime int   `json:"all_inputs_per_runtime"` // inputs of one runtime, those that have ended too
	TotalBytes          int64 `json:"total_bytes"`            // of all that is held, see Totals.Bytes
}

// A LimitError says which limit a call would have gone beyond.
type LimitError struct {
	// Limit is snapshot_bytes, batch_writes, inputs_per_runtime,
	// all_inputs_per_runtime or total_bytes, of Limits, or inbox_size or bytes_in_flight, of loopstore.Options.
	Limit string
	Most  int64 // what is allowed
	Asked int64 // what there would have been
	Busy  bool  // it may be otherwise in a moment
}

func (e *LimitError) Error() string {
	kind := ErrLimit
	if e.Busy {
		kind = ErrBusy
	}
	return fmt.Sprintf("%v: %s would be %d, the most is %d", kind, e.Limit, e.Asked, e.Most)
}

// Is reports whether target is ErrLimit, or ErrBusy if it was that.
func (e *LimitError) Is(target error) bool {
	return target == ErrLimit && !e.Busy || target == ErrBusy && e.Busy
}
