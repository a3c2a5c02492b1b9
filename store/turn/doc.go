// Package turn is the turn of an agent, over a store with batches: a message comes in, a
// run begins with it, the model answers and calls tools, and the run ends. Each step is one
// batch, stored whole or not at all, and fenced: who was thought dead and comes back is
// refused. After a crash [Recover] says where the turn stands.
//
//	Enqueue      Next      Begin       Intend, Result, Checkpoint        Finish
//	   │           │         │            │       │        │               │
//	accepted ──► staged ──► applied ───────────────────────────────────► consumed   the input
//	                         │            │       │        │               │
//	                      user's line   model's  tool's  model's        last lines  the conversation
//	                      receipt 0       1       2        …               n        receipts
//	                                      │       │
//	                                   intended ► done                              the ledger of calls
//
// # The ledger
//
// A tool has effects that no store can take back. So a call is recorded as intended before
// it is made, and with its result after. A process that dies between the two leaves a call
// that is maybe done: [Turn.MaybeDone] has it after Recover. Ask the tool, by [Call.Key], or
// a person. Then tell the turn what is so: [Turn.Result] if it was done, [Turn.Again] before
// it is made once more, or Result with an error of yours if it is not to be. Nothing is made
// twice unless you say so, and no turn ends with a call of which that is open.
//
// # How a turn is stored
//
// The agent is a runtime. Its conversation is its session, JSON Lines of any types of yours.
// The input is in a state of [Queue] until it is consumed. The run's id is made of the
// input's. A call is an input too: store.InputAppliedPendingConsumption, and consumed when it
// has its result. So who counts inputs counts calls, and a retention of inputs lets go of them
// as of any other. Which state follows which is this package's rule. The store takes what it
// is told, also from others.
//
// # Errors
//
// A step whose error is neither store.ErrOutcomeUnknown nor a *store.PanicError has done
// nothing. Do it again, unless the error is store.ErrConflict, which means that somebody else
// has the turn: leave it; or a [*CallError], or a [*StepError]: such a step is wrong. After the
// first two the store has stopped: open it again and Recover, which finds out whether the step
// is there.
//
// A model that fails has changed nothing: ask it again, or end the turn with [Turn.Abandon],
// or with [Turn.PutBack] if it has not begun. A Turn that is dropped keeps its agent from any
// other until it is recovered.
package turn
