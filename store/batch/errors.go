package batch

import (
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// A ConflictError says which condition of a Batch does not hold, and what
// stands instead.
type ConflictError struct {
	Index     int             // of the condition, in the If of the batch or the commit; -1 if it is of neither
	RuntimeID store.RuntimeID // that it is about
	Want      string          // the condition, such as "version 7"
	Stands    string          // such as "version 9"
	Version   uint64          // that the runtime has, 0 if there is none
}

func (e *ConflictError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("%v: runtime %q: want %s, but there is %s", store.ErrConflict, e.RuntimeID.Short(), e.Want, e.Stands)
	}
	return fmt.Sprintf("%v: condition %d of runtime %q: want %s, but there is %s", store.ErrConflict, e.Index, e.RuntimeID.Short(), e.Want, e.Stands)
}

// Is reports whether target is store.ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == store.ErrConflict }

// A WriteError says which write of a Batch cannot be done.
type WriteError struct {
	Index     int             // of the write, in Batch.Then
	RuntimeID store.RuntimeID // that it is on
	Err       error
}

func (e *WriteError) Error() string {
	return fmt.Sprintf("write %d of runtime %q: %v", e.Index, e.RuntimeID.Short(), e.Err)
}

// Unwrap returns what was wrong.
func (e *WriteError) Unwrap() error { return e.Err }
