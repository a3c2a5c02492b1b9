// Package batch holds the writes that are applied together, and the conditions
// under which they are.
package batch

import (
	"context"

	"github.com/loopstore/loopstore/store"
)

// A Batch is any number of writes, on any number of runtimes, that are applied
// all or none, in order, each seeing those before it. They are applied if all
// conditions hold at that moment. The owner does nothing else meanwhile, for
// about a microsecond a write.
type Batch struct {
	If   []Condition
	Then []Write
}

// A Result says what a Batch has done.
type Result struct {
	// Revision is the version that the runtimes have which the batch changed.
	// If it changed none it is that of the last change before it.
	Revision uint64
	// Receipts are those that were minted, one for each CommitBoundary.
	Receipts []store.RunBoundaryReceipt
}

// A Committer is a store with batches: see [Batch] for what they promise.
type Committer interface {
	Commit(ctx context.Context, batch Batch) (Result, error)
}

// A Condition is a [VersionIs], [RuntimeExists], [RuntimeAbsent],
// [RuntimeStateIs], [InputStateIs], [InputVersionIs], [InputAbsent], [SessionDigestIs],
// [ReceiptAbsent] or [KeyFree], or a pointer to one. Others are refused with
// ErrInvalidValue.
type Condition = store.Condition

// A Write is a [PutInputState], [DeleteInputState], [PutReceipt],
// [PutSnapshot], [RestoreSession], [PutRuntimeState], [PutLabels], [CommitBoundary],
// [DeleteRuntime] or [ReviveRuntime], or a pointer to one. Others are refused with
// ErrInvalidValue.
type Write interface{ write() }

// VersionIs is the [Condition] that a runtime has not changed since it had a
// version. 0 means that there is no such runtime.
type VersionIs struct {
	RuntimeID store.RuntimeID
	Version   uint64
}

// RuntimeExists is the [Condition] that there is such a runtime.
type RuntimeExists struct{ RuntimeID store.RuntimeID }

// RuntimeAbsent is the [Condition] that there is no such runtime.
type RuntimeAbsent struct{ RuntimeID store.RuntimeID }

// RuntimeStateIs is the [Condition] that a runtime has a state, and one of
// these, up to 9; with OrNone also that it has none, or is not there.
type RuntimeStateIs struct {
	RuntimeID store.RuntimeID
	AnyOf     []store.RuntimeState
	OrNone    bool
}

// RuntimeIn returns the [Condition] that a runtime has one of these states.
func RuntimeIn(id store.RuntimeID, states ...store.RuntimeState) RuntimeStateIs {
	return RuntimeStateIs{RuntimeID: id, AnyOf: states}
}

// InputStateIs is the [Condition] that there is an input, and in one of these
// states, up to 9.
type InputStateIs struct {
	RuntimeID store.RuntimeID
	InputID   store.InputID
	AnyOf     []store.InputLifecycleState
}

// InputIn returns the [Condition] that an input is in one of these states.
func InputIn(id store.RuntimeID, input store.InputID, states ...store.InputLifecycleState) InputStateIs {
	return InputStateIs{RuntimeID: id, InputID: input, AnyOf: states}
}

// InputVersionIs is the [Condition] that there is an input, and that it has not changed
// since it had a version: that of a view, or the Revision of the Result of the batch that
// changed it. It is a fence: whoever has claimed an input, and makes this a condition of
// all that comes of that, is refused once anybody else has put the input back or claimed it,
// even if it is in the same state again.
type InputVersionIs struct {
	RuntimeID store.RuntimeID
	InputID   store.InputID
	Version   uint64 // 0 holds for no input
}

// InputAbsent is the [Condition] that there is no such input.
type InputAbsent struct {
	RuntimeID store.RuntimeID
	InputID   store.InputID
}

// SessionDigestIs is the [Condition] that the session snapshot has a
// conversation digest, as receipts spell it. An empty one means that there is
// no snapshot. A snapshot of store.FormatUnset has none, and not the empty one
// either: that is what was stored as it came, without a format.
type SessionDigestIs struct {
	RuntimeID store.RuntimeID
	Digest    string
}

// ReceiptAbsent is the [Condition] that a boundary has no receipt.
type ReceiptAbsent struct {
	RuntimeID store.RuntimeID
	RunID     store.RunID
	Sequence  uint64
}

// KeyFree is the [Condition] that no input of the runtime has an idempotency
// key, and that store.Retention.Keys does not keep it of one that had it.
type KeyFree struct {
	RuntimeID store.RuntimeID
	Key       string
}

// About returns the runtime that the condition is about.
func (c VersionIs) About() store.RuntimeID { return c.RuntimeID }

// About returns the runtime that the condition is about.
func (c RuntimeExists) About() store.RuntimeID { return c.RuntimeID }

// About returns the runtime that the condition is about.
func (c RuntimeAbsent) About() store.RuntimeID { return c.RuntimeID }

// About returns the runtime that the condition is about.
func (c RuntimeStateIs) About() store.RuntimeID { return c.RuntimeID }

// About returns the runtime that the condition is about.
func (c InputStateIs) About() store.RuntimeID { return c.RuntimeID }

// About returns the runtime that the condition is about.
func (c InputVersionIs) About() store.RuntimeID { return c.RuntimeID }

// About returns the runtime that the condition is about.
func (c InputAbsent) About() store.RuntimeID { return c.RuntimeID }

// About returns the runtime that the condition is about.
func (c SessionDigestIs) About() store.RuntimeID { return c.RuntimeID }

// About returns the runtime that the condition is about.
func (c ReceiptAbsent) About() store.RuntimeID { return c.RuntimeID }

// About returns the runtime that the condition is about.
func (c KeyFree) About() store.RuntimeID { return c.RuntimeID }

// PutInputState is the [Write] that PersistInputState does.
type PutInputState struct {
	RuntimeID store.RuntimeID
	State     store.InputState
}

// DeleteInputState is the [Write] that removes an input's state. If there is
// none it changes nothing.
type DeleteInputState struct {
	RuntimeID store.RuntimeID
	InputID   store.InputID
}

// PutReceipt is the [Write] that AtomicApply does with a receipt alone.
type PutReceipt struct {
	RuntimeID store.RuntimeID
	Receipt   store.RunBoundaryReceipt
}

// PutSnapshot is the [Write] that stores a session without a receipt. Its fields
// are those of store.SessionDelta, but that FormatUnset is any bytes, whose
// digest is known if they are a session document of Meerkat's. An empty Snapshot
// of store.FormatLines is a conversation without messages.
type PutSnapshot struct {
	RuntimeID store.RuntimeID
	Snapshot  []byte
	Format    store.Format
	Append    bool
	Messages  uint64
}

// RestoreSession is the [Write] that makes an earlier version of a session its next
// one, without a receipt. If it is not there the error is store.ErrNoVersion: earlier
// versions are there if Options.Retention.Sessions keeps them. A [CommitBoundary]
// that comes after it in the batch can append to it.
type RestoreSession struct {
	RuntimeID store.RuntimeID
	Number    uint64
}

// PutRuntimeState is the [Write] that PersistRuntimeState does.
type PutRuntimeState struct {
	RuntimeID store.RuntimeID
	State     store.RuntimeState
}

// PutLabels is the [Write] that replaces all labels of a runtime. There are up to
// store.MaxLabels, each of up to store.MaxLabelBytes.
type PutLabels struct {
	RuntimeID store.RuntimeID
	Labels    map[string]string
}

// CommitBoundary is the [Write] that CommitSessionBoundary does, with the conditions of
// its own: they see the writes before it. The receipt is in the result.
type CommitBoundary struct {
	RuntimeID store.RuntimeID
	Commit    store.BoundaryCommit
}

// DeleteRuntime is the [Write] that removes all of a runtime, with what it
// filed under the ids of sessions. If there is none it changes nothing.
type DeleteRuntime struct{ RuntimeID store.RuntimeID }

// ReviveRuntime is the [Write] that brings a runtime back that was deleted, with nothing in
// it, where Options.Tombstones would have its id refused with store.ErrDeleted. Each run
// begins after the highest sequence that any run had before, and idempotency keys that
// store.Retention.Keys keeps are not free. If there is no tombstone it changes nothing.
type ReviveRuntime struct{ RuntimeID store.RuntimeID }

func (PutInputState) write()    {}
func (DeleteInputState) write() {}
func (PutReceipt) write()       {}
func (PutSnapshot) write()      {}
func (RestoreSession) write()   {}
func (PutRuntimeState) write()  {}
func (PutLabels) write()        {}
func (CommitBoundary) write()   {}
func (DeleteRuntime) write()    {}
func (ReviveRuntime) write()    {}
