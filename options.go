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
	// caller gives up keeps its place until the owner comes to it. 0 means
	// 128, and so does a negative number. With a Journal 1,024 more may wait
	// for the end of an append.
	InboxSize int

	// StrictReceipts refuses a receipt at a run and sequence that has another
	// one, with store.ErrReceiptConflict, where it would replace it otherwise.
	// The same receipt again means that this AtomicApply was done before: it
	// succeeds, and changes nothing, so one whose answer was lost on its way to
	// a remote caller may be repeated. Only receipts are compared: what else a
	// repeated call brings is not looked at, and not stored. In a Batch this is
	// so for that PutReceipt alone. A receipt that was pruned is not known any
	// more: keep as many as a call may be late.
	StrictReceipts bool

	// StrictSessionKeys refuses a session document that AtomicApply is to file
	// under another id than its own, with store.ErrSessionKeyMismatch. Otherwise
	// it is filed under the key that the caller gave.
	StrictSessionKeys bool

	// Limits bound what is held, and what one call may bring. A call that
	// would go beyond one is refused with store.ErrLimit. 0 means no limit, and
	// so does a negative number.
	Limits store.Limits

	// Retention is what is kept of a runtime, whenever it changes: what it lets
	// go goes with the operation that made it too many or too old, as if Prune
	// came with it. Nobody is told. What is too old may stay up to a 64th of
	// that age longer. A runtime that does not change is left alone, also when
	// it comes with an Import: Prune it. What is negative is as if it were 0.
	Retention store.Retention

	// BytesInFlight bounds the payload bytes of all calls under way, see
	// ops.Weight. Callers wait, under their contexts and in the order of their
	// coming, until there is room; a call that asks for more than all of it is
	// refused with a *store.LimitError. Reads weigh nothing, and never wait for
	// it. What a caller gives up counts until the owner comes to it. 0 means no
	// bound, and so does a negative number.
	BytesInFlight int64

	// RefuseWhenFull refuses a call, with store.ErrBusy, where it would wait
	// for a place in the inbox or for room in flight. A Watch ends with that
	// too.
	RefuseWhenFull bool

	// Logger is told of the start and the end of the store, of slow operations,
	// and of the panic, or the failure of the journal, that ends it. It is told ids and sizes, and never what is
	// stored. It is called on the goroutines of callers, never on the owner's,
	// may call the Loop (what it does there may be slow too), and a panic of it
	// is dropped. nil tells nobody.
	Logger *slog.Logger

	// SlowThreshold is how long an operation may take, from its call until the
	// owner has done it, before Logger is told: how long it was prepared (which
	// is reading and copying, and waiting for room in flight), how long it
	// waited for the owner, and how long it took there. That is a warning, or
	// information if it only waited for the owner. Operations that the store
	// makes for itself are told of too, see Stats.Operations. Every operation is
	// timed then, which costs it some 100 ns. 0 means that none is slow, and so
	// does a negative number.
	SlowThreshold time.Duration
}

const defaultInboxSize = 128

// state returns the empty state of a Loop.
func (l *Loop) state(opts Options) *state.State {
	return &state.State{
		StrictReceipts: opts.StrictReceipts, StrictSessionKeys: opts.StrictSessionKeys,
		Limits: opts.Limits, Retention: opts.Retention, Documents: &l.documents,
	}
}
