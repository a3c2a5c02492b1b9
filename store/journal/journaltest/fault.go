package journaltest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// ErrUnknown is an error that package journal does not name, so it counts as
// ErrAmbiguous.
var ErrUnknown = errors.New("journaltest: an error of another kind")

// A Fault is what happens to one Append. The zero value is none: the batch goes
// to the engine behind, and the caller gets its answer.
type Fault struct {
	// Before is called before anything else, and After before Append returns,
	// on the goroutine that called it. Each may wait: latency is a Before that
	// sleeps.
	Before, After func(context.Context)

	// Err is what Append returns. The journal is of no use after it, unless it
	// is journal.ErrRejected. If it is nil the engine behind answers.
	Err error

	// Stored says that the batch goes to the engine behind although Err is
	// returned.
	Stored bool
}

// Reject is a batch that is refused. The journal goes on.
func Reject() Fault { return Fault{Err: journal.ErrRejected} }

// Fence is a batch that finds another owner. That owner is not opened: a test
// that wants one opens it, and needs no Fault then.
func Fence() Fault { return Fault{Err: journal.ErrFenced} }

// Ambiguous is a batch of which nobody knows whether it was stored. It was if
// stored says so.
func Ambiguous(stored bool) Fault { return Fault{Err: journal.ErrAmbiguous, Stored: stored} }

// Unknown is like Ambiguous, with an error that package journal does not name.
func Unknown(stored bool) Fault { return Fault{Err: ErrUnknown, Stored: stored} }

// Late is a batch that is stored after d, or after ctx has ended if that comes
// first: then the engine behind decides.
func Late(d time.Duration) Fault {
	return Fault{Before: func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}}
}

// Held is a batch that is stored when release is closed, or after ctx has ended
// if that comes first: then the engine behind decides.
func Held(release <-chan struct{}) Fault {
	return Fault{Before: func(ctx context.Context) {
		select {
		case <-release:
		case <-ctx.Done():
		}
	}}
}

// Then returns the fault with another latency: before is called first of all.
func (f Fault) Then(before func(context.Context)) Fault {
	first := f.Before
	f.Before = func(ctx context.Context) {
		before(ctx)
		if first != nil {
			first(ctx)
		}
	}
	return f
}

// An OpenFault is what happens to one Open. The zero value is none.
type OpenFault struct {
	// Before is called before anything else, and may wait.
	Before func(context.Context)

	// Err is what Open returns, before it calls emit if Cut is false. Nothing
	// is held open then.
	Err error

	// Cut says that only the first After keys are emitted. Then Open returns
	// Err; if it is nil Open goes on as if these were all.
	Cut   bool
	After int
}

// FailOpen is an Open that fails with err at once.
func FailOpen(err error) OpenFault { return OpenFault{Err: err} }

// Corrupt is an Open that finds out after so many keys that the journal is not
// as it was written.
func Corrupt(after int) OpenFault {
	return OpenFault{Err: fmt.Errorf("%w: told so", journal.ErrCorrupt), Cut: true, After: after}
}

// CutShort is an Open that loses all keys but the first, and does not know it.
func CutShort(after int) OpenFault { return OpenFault{Cut: true, After: after} }
