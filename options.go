package loopstore

import (
	"log/slog"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// Options are the settings of a Loop. The zero value is useful.
type Options struct {
	// InboxSize is how many requests may wait for the owner. More callers
	// than that wait, under their contexts, for a place. A request that its
	// caller gives up keeps its place until the owner comes to it. 0, or a negative
	// number, means 128. With a journal 1,024 more may wait for an append.
	InboxSize int

	// StrictReceipts refuses a receipt at a run and sequence that has another
	// one, with store.ErrReceiptConflict, where it would replace it otherwise.
	// The same receipt again means that this AtomicApply was done before: it
	// succeeds and changes nothing. So a call whose answer was lost on its way to
	// a remote caller may be repeated. Only receipts are compared: what else a
	// repeated call brings is neither looked at nor stored. In a batch this holds
	// for that PutReceipt alone. A receipt that was pruned is not known any
	// more: keep at least as many as a late retry may go back.
	StrictReceipts bool

	// StrictSessionKeys refuses a session document that AtomicApply is to file
	// under another id than its own, with store.ErrSessionKeyMismatch. Otherwise
	// it is filed under the key that the caller gave.
	StrictSessionKeys bool

	// SetAside makes Open set aside each runtime that is damaged in the journal, instead
	// of failing. An operation on one gets a *state.AsideError, which has its id and matches
	// journal.ErrCorrupt, and so does an Export; all others are served.
	// The journal keeps what there is of it. Open still fails if a damaged runtime
	// can no longer be named, or if the engine finds the damage itself. Without a
	// journal there is nothing to set aside.
	SetAside bool

	// UniqueKeys refuses, with a *store.KeyError, an operation after which two inputs of a
	// runtime would share an idempotency key, or one would have a key that Retention.Keys
	// keeps of another. To store an input again with the key that it has is no offence.
	// Inputs that share a key already stay as they are.
	UniqueKeys bool

	// Tombstones says how many tombstones of deleted runtimes are kept, and for how long.
	// What would make such a runtime again is refused with store.ErrDeleted, a Fork to it
	// too; only package batch's ReviveRuntime brings it back. A tombstone takes some 260
	// bytes, and 200 for each key that Retention.Keys keeps, of which it has 1 MiB at
	// most. The zero value keeps none: an id is free again at once. What a journal holds
	// of them stays all the same.
	Tombstones store.Keep

	// Queue says which states of inputs wait to be claimed, and which are under way, for
	// ClaimNext. Only where it is set is an index of them kept, of some 250 bytes for a
	// runtime and 10 for an input that waits, and every write looks at the clock.
	// With a Queue that is not valid, Open fails, and every ClaimNext of a Loop that New has made.
	Queue state.Queue

	// Deletions is how many of the last deletions are remembered for Changes, so that a
	// cursor which is older than a deletion is still of use. Their ids may have 1 MiB. It begins
	// when somebody first asks for changes, and is kept in the journal. 0 means 1,024, and a
	// negative number none.
	Deletions int

	// Activity records when each runtime was made and when it was written to last, for
	// Runtimes and ExpireIdle. Every write looks at the clock then, which takes some 60 ns.
	// It is always on with a journal, and where anything is kept by age.
	Activity bool

	// Limits bound what is held, and what one call may bring. A call beyond one is
	// refused with store.ErrLimit. 0, or a negative number, means no limit.
	Limits store.Limits

	// Retention is what is kept of a runtime, whenever it changes: an operation
	// removes what it has made too many or too old, as if Prune came with it. It
	// looks at some 1,000 records of a runtime, and at as many of the runs that it writes
	// to, and the next one goes on; so where there are more, some stay a little longer. What is too old may
	// stay a 32nd of that age longer, if clocks differ; else a 64th. A runtime that
	// does not change is left alone, also when it comes with an Import: Prune it. A
	// negative number is taken for 0.
	Retention store.Retention

	// BytesInFlight bounds the payload bytes of all calls under way, see
	// ops.Weight. Callers wait for room under their contexts, first come, first
	// served. A call that asks for more than all of it is refused with a
	// *store.LimitError. Reads weigh nothing and never wait for it. A call that its
	// caller gives up counts until the owner comes to it. 0, or a negative number,
	// means no bound.
	BytesInFlight int64

	// RefuseWhenFull refuses a call, with store.ErrBusy, where it would wait
	// for a place in the inbox or for room in flight. A Watch ends with that
	// too.
	RefuseWhenFull bool

	// Logger logs the start and the end of the store, slow operations, and the
	// panic or the failure of the journal that ends it. It gets ids and sizes,
	// never a payload. It is called on the goroutines of callers, never on the
	// owner's, and may call the Loop. A panic of it is dropped. nil is silent.
	Logger *slog.Logger

	// SlowThreshold is how long an operation may take, from its call until the
	// owner has done it, before it is logged: how long it was prepared (reading,
	// copying, and waiting for room in flight), how long it waited for the owner,
	// and how long it took there. It is logged as a warning, or as information if
	// it only waited for the owner. With a threshold every operation is timed,
	// which costs it some 100 ns. 0, or a negative number, means that none is slow.
	SlowThreshold time.Duration
}

const defaultInboxSize = 128

// state returns the empty state of a Loop.
func (l *Loop) state(opts Options) *state.State {
	s := stateOf(opts)
	s.Snapshots = &l.snapshots
	return s
}

func stateOf(opts Options) *state.State {
	return &state.State{
		StrictReceipts: opts.StrictReceipts, StrictSessionKeys: opts.StrictSessionKeys, UniqueKeys: opts.UniqueKeys,
		Limits: opts.Limits, Retention: opts.Retention, Tombstones: opts.Tombstones, Activity: opts.Activity,
		Queue: opts.Queue.Clone(), Deletions: opts.Deletions,
	}
}
