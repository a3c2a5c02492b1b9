package store

import "fmt"

// Limits bound what a State holds. 0 means that there is no limit. What was
// there before a limit is not touched by it; a call that adds nothing to what
// is over one is not refused. A store that is full takes no larger values
// either: leave room, and delete or prune before it is.
//
// State.Do looks after the last two. The others are of single calls, which
// ops.Run and a Loop weigh before they do anything else.
type Limits struct {
	SnapshotBytes    int   `json:"snapshot_bytes"`     // of one session snapshot
	BatchWrites      int   `json:"batch_writes"`       // of one Batch; and as many conditions
	InputsPerRuntime int   `json:"inputs_per_runtime"` // input states of one runtime
	TotalBytes       int64 `json:"total_bytes"`        // of all that is held, see Totals.Bytes
}

// A LimitError says which limit a call would have gone beyond.
type LimitError struct {
	// Limit is snapshot_bytes, batch_writes, inputs_per_runtime or total_bytes,
	// of Limits, or inbox_size or bytes_in_flight, of loopstore.Options.
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
