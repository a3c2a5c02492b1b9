// Package loopstore keeps the state of agent runtimes: session snapshots, ordered
// input states, run-boundary receipts and runtime states, committed together. It
// is held in memory, and with a journal it is there again after the process.
//
// One goroutine, the owner, holds every map. Callers send it typed requests
// over a channel, and each request carries the channel of its own answer.
// Nothing else touches the maps, so every operation is atomic by construction
// and the data path has no lock.
//
//	caller's goroutine                                owner goroutine
//	prepare: validate, copy, digest  ── inbox ──►     apply: move pointers in the maps
//	wait for the answer, or for ctx  ◄── answer ──    (a channel of one, the request's own)
//	copy the answer out
//
// A [Loop] is the store, package store its values and errors, package ops its
// requests. What follows is what it promises; each promise has a test of its
// name.
//
// # Atomic
//
// An operation happens whole or not at all. Everything in it is checked before
// any of it is applied.
//
// # Linearizable
//
// Every operation takes effect at one moment between its call and its return.
//
// # Definite
//
// A call that returns an error changed nothing; one that returns nil is
// applied. (Of the one call that panicked nobody can say, nor ever see: see
// Fails closed; and of one whose error is store.ErrOutcomeUnknown the journal
// will tell: see Durable.) If ctx ends while the request waits, the caller takes
// it back and it never runs, unless the owner is quicker. Once the owner has it,
// the call waits for the answer, however ready ctx.Done is. Caller and owner
// settle which it is by one compare-and-swap.
//
// # Private
//
// No slice, map or pointer to what can change is shared with a caller, in or
// out; views and snapshots never change, and are. What is stored is never
// changed in place. A caller must leave its arguments alone until the call
// returns.
//
// # Closing
//
// Close stops the intake, lets every request that was taken be answered, and
// returns when the owner has ended and the journal is given up. It is idempotent
// and safe from anywhere.
// Later calls get store.ErrClosed, unless their context has ended. No
// goroutine, timer or channel is left behind.
//
// # Fails closed
//
// A panic on the owner's goroutine is a defect of this package and may leave
// the state half changed. The loop stops serving: the error of that call is a
// *store.PanicError with the stack, that of every other one wraps it, and Close
// returns it.
//
// # Never blocked
//
// The owner sends only to channels with room. A slow, cancelled or vanished
// caller costs it nothing.
//
// # Bounded
//
// The inbox has a size. While it is full, callers wait under their contexts.
//
// # Quiet
//
// An idle loop is one goroutine parked on a channel: no ticking, no polling.
// A Loop that is made in a testing/synctest bubble works there, and another one
// in the next.
//
// # Durable
//
// A Loop that [Open] made has a journal, see package store/journal, and stores
// every change there before the call that made it returns. Opened again, it holds
// all that was acknowledged, as it was, with its order, versions and sequences,
// nothing by halves, and nothing that was refused.
//
// Writes go in rounds: all that wait are applied, what they change is appended as
// one batch, and then all are answered; so the more callers there are, the more
// share one append. A load never shows what is not stored yet. It waits for an
// append only if that changes the runtime that it is of, or if it is of all of
// them; any other is answered beside it, unless 1,024 calls wait for the append
// already. Writes wait for no more loads than have come before them.
//
// What the journal says decides. A batch that it rejects, because it is too
// large, say, changes nothing, and the store goes on; where it was of several
// calls each is tried for itself. If another owner has taken the journal over,
// nothing more is ever stored by this one: it stops serving, with a
// *store.JournalError that wraps journal.ErrFenced. Until it has noticed, it may
// answer loads with what it held. If the journal cannot say whether it has stored a
// batch, the calls with changes in it get store.ErrOutcomeUnknown, and it stops
// serving too; whoever opens it again finds out. No caller's context ends an
// append: a call that the owner has taken waits for its outcome.
//
// # Revisions
//
// Every operation that changes something gets the next revision, from 1 on. A
// runtime's version is the revision of its last change, and 0 if there is no
// such runtime: one that is deleted and made again never has a version that it
// had before.
//
// # Batches
//
// [Loop.Commit] applies any number of writes, to any number of runtimes, all or
// none, as one revision, and only if its conditions hold.
//
// # Views
//
// A view, see [Loop.View], is all that a runtime holds at one moment. It never
// changes, holds only what it shows, and shares with the state what has not
// changed since; taking it costs the owner the same however large the runtime
// is. A [Reader] is linearizable with the operations: it sees every write that
// has returned.
//
// # Watching
//
// [Loop.Watch] yields the newest view whenever there is one. It may skip
// versions, and never misses the last. Watchers cost the owner nothing but to
// take the view that they wait for. They are woken on the goroutine of the
// caller that made the change, before its call returns, or, where they are
// hundreds or there is a journal, on one that ends with that.
//
// # Listing
//
// [Loop.Runtimes] lists all runtimes, a page at a time, in the order in which
// they were made, and [Loop.Inputs] and [Loop.Receipts] what one has. What is
// there throughout is listed once, whatever else comes and goes meanwhile.
//
// # Deleting
//
// [Loop.DeleteRuntime] removes all of a runtime in one step. [Loop.Prune]
// removes what a retention lets go, and Options.Retention does so with every
// operation; nothing goes unless it is asked for. Neither ever removes an input
// that has not ended, nor lets a sequence be minted twice: only a runtime that
// was deleted and made again begins at 0.
//
// # Limits
//
// Nothing is limited unless Options say so. A call beyond a limit is refused
// whole; its *store.LimitError says which limit, how much that is, and what was
// asked for.
//
// # Exporting
//
// [Loop.Export] writes all that is held at one moment, and holds up the owner no
// longer for more of it. [Loop.Import] gives back exactly that, with its order
// and versions, or names the line that is not as it was written and takes
// nothing.
//
// # Observing
//
// [Loop.Stats] never waits for the owner, and answers after Close too. Its
// counts are exact. What it tells, and what Options.Logger is told, holds no
// payload.
//
// # No trace
//
// Reading, viewing or watching what is not there, or not any more, adds nothing
// to any map.
package loopstore
