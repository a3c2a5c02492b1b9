// Package loopstore keeps the state of agent runtimes: conversations, ordered
// input states, run-boundary receipts and runtime states, committed together. The
// state is in memory. With a journal it survives the process.
//
// One goroutine, the owner, holds every map. Callers send it typed requests
// over a channel, and each request carries the channel of its own answer.
// Nothing else touches the maps, so every operation is atomic by construction
// and the data path has no lock.
//
// A [Loop] is the store. [New] makes one in memory, [Open] one with a journal. It
// promises what follows; each promise has a test whose name begins with it.
//
// # Atomic
//
// An operation happens whole or not at all. What fails in the middle is taken back.
//
// # Linearizable
//
// Every operation takes effect at one moment between its call and its return.
//
// # Definite
//
// A call that returns an error changed nothing. One that returns nil is applied.
// There are three exceptions. Whether the call that panicked was applied is unknown,
// and cannot be observed: see Fails closed. After store.ErrOutcomeUnknown only the
// journal can tell: see Durable. And [Loop.Prune] and [Loop.ExpireIdle] work in steps: a
// *state.PartialError says what the steps before the one that failed have removed.
//
// If ctx ends while a request waits, caller and owner settle by one
// compare-and-swap who has it. Either the caller takes it back, and it never runs;
// or the owner has it, and the call waits for the answer, even if ctx.Done is ready.
//
// # Private
//
// No slice, map or pointer that can change is shared with a caller. A caller must
// leave its arguments alone until the call returns.
//
// # Closing
//
// Close stops the intake, lets every accepted request be answered, and returns
// when the owner has ended and has given up the journal. It is idempotent and safe
// from anywhere. Later calls get store.ErrClosed, or their context's error if that
// has ended. No goroutine, timer or channel is left behind.
//
// # Fails closed
//
// A panic on the owner's goroutine is a defect and may leave the state half changed.
// So the loop stops serving. The call that panicked gets a *store.PanicError with
// the stack, every other call an error that wraps it, and Close returns it.
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
// An idle loop is one goroutine parked on a channel. It does not tick or poll. A
// Loop works in the testing/synctest bubble that it is made in.
//
// # No trace
//
// Reading, viewing or watching what is not there, or not any more, adds nothing
// to any map.
//
// # Durable
//
// A Loop that [Open] made has a journal, see package store/journal. It stores every
// change there before the call that made it returns. Opened again, it holds all
// that was acknowledged, with its order, versions and sequences, nothing by halves,
// and nothing that was refused.
//
// Writes go in rounds. All that wait are applied, their changes are appended as one
// batch, and then all are answered; so many callers share one append. A load never
// shows what is not stored yet. It waits for an append only if that changes its
// runtime, or if the load is of all runtimes; any other is answered meanwhile,
// unless 1,024 calls wait already. A write never waits for a load that came later.
//
// The journal decides. A batch that it rejects, for example because a call brings more
// than it takes at once, changes nothing, and the store goes on; if several calls share the batch,
// each is tried alone. If the journal has a new holder, this store stops serving,
// with a *store.JournalError that wraps journal.ErrFenced; until it notices, it may
// answer loads with what it held. If the journal cannot say whether it has stored a
// batch, the calls with changes in it get store.ErrOutcomeUnknown, and the store
// stops serving too. The next Open finds out. No caller's context ends an append.
//
// # The past
//
// With Options.Retention.Sessions a session keeps earlier versions. A version
// never changes, its number is never used again, and what is made of it in a fork or
// by going back is a version of its own. Versions share what they have in common,
// and it counts once.
//
// # Revisions
//
// Every operation that changes something gets the next revision, from 1 on. A
// runtime's version is the revision of its last change, and 0 if there is no such
// runtime. A runtime that is deleted and made again never gets an old version. After an
// import the next revision is far beyond that of what was exported.
//
// # Batches
//
// [Loop.Commit] applies any number of writes to any number of runtimes, all or
// none, as one revision, and only if the batch's conditions hold. The commits that
// store several things together take conditions too.
//
// # Fencing
//
// An input's version is the revision of its last change, and batch.InputVersionIs holds
// until then. So whoever has claimed an input, and makes its version a condition, is
// refused once anybody else has changed it, whatever state it is in then, and after an
// import.
//
// # Claiming
//
// With Options.Queue [Loop.ClaimNext] moves the next input of any runtime, and returns it.
// One that waits is claimed by one caller, and a runtime has one input under way at a time.
// Runtimes have their turns in the order in which they came to wait. Callers that wait cost
// nothing. One whose context ends claims nothing, and takes nothing from others.
//
// # Keys
//
// With Options.UniqueKeys no operation gives an input an idempotency key that another
// of its runtime has, or has had, as long as Retention.Keys keeps it.
//
// # Views
//
// A view, see [Loop.View], is all that a runtime holds at one moment. It never
// changes, and shares with the state what has not changed since. Taking one costs
// the owner the same however large the runtime is. A [Reader] is linearizable with
// the operations: it sees every write that has returned.
//
// # Watching
//
// [Loop.Watch] yields the newest view whenever there is one. It may skip versions,
// and never misses the last. A watcher costs the owner only the view that it waits
// for. Watchers are woken by a goroutine of their own, which ends when that is done.
//
// # Following
//
// [Loop.Changes] yields the last change of each runtime after a cursor, deletions included,
// and goes on. It may skip changes, and never misses the last of any. With a journal a
// cursor is good after a restart, if anything was written since the first was asked for.
// One that cannot be followed any more is refused.
//
// # Listing
//
// [Loop.Runtimes] lists runtimes, all or those that match, a page at a time, in the
// order in which they were made. What is there throughout is listed once, whatever else
// comes and goes. A list by activity is of one moment.
//
// # Deleting
//
// [Loop.DeleteRuntime] removes all of a runtime in one step, however large it is.
// [Loop.Prune] and Options.Retention remove what a retention lets go, some of it at a
// time: never an input that has not ended, and no sequence is minted twice. With
// Options.Tombstones a runtime that was deleted stays away until its tombstone goes, or
// batch.ReviveRuntime brings it back; then its sequences go on. Without them one that is
// made again begins at 0.
//
// # Limits
//
// Nothing is limited unless Options say so. A call beyond a limit is refused whole.
// Its *store.LimitError names the limit, its value, and what was asked for.
//
// # Exporting
//
// [Loop.Export] writes all that is held at one moment, and takes the owner no
// longer for more of it. [Loop.Import] gives back exactly that, or names the first
// line that is not as it was written and takes nothing. A journal takes an import in
// pieces, and nothing of it is there before the last.
//
// # Observing
//
// [Loop.Stats] never waits for the owner, and answers after Close too. Its counts
// are exact. Neither the statistics nor the log contains a payload.
package loopstore
