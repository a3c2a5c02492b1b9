// Package storetest has a conformance suite for any [store.RuntimeStore], and
// support for tests that use a loopstore.Loop.
//
// # A store of your own
//
// [Run] tries every promise of [store.RuntimeStore], each on a new store:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, storetest.Factory{
//			Open: func(t testing.TB) store.RuntimeStore { return mystore.New(t.TempDir()) },
//		})
//	}
//
// A broken promise fails as TestConformance/chapter/promise, for example
// TestConformance/atomicity/a_refused_commit_spends_no_sequence, and the failure
// states the rule. The chapters are values, operations, atomicity, isolation,
// privacy, ordering, concurrency, cancellation, batches, conditions, fencing, keys,
// deleting, views, readers, watching, claiming, following, listing, reopening, formats,
// appending, past, pieces and closing. Run the suite with -race; with -short it repeats
// less. A promise that takes longer than Factory.Timeout fails with the stacks of all
// goroutines. One that panics fails with the stack of the panic.
//
// A chapter is skipped, and says so, if the store lacks what it needs. Batches need
// a [batch.Committer], views a [state.Viewer], and watching a [state.Watcher].
// Readers need Factory.Reader, unless the store has a Reader like loopstore.Loop's.
// Reopening needs Factory.Reopen. Formats and appending are skipped if
// Factory.OnlyUnset says that the store takes no formats; it must refuse them then.
// Fencing, which is about the versions of inputs, needs a [batch.Committer], and a
// [state.Viewer] or a [state.InputLoader]. Keys and deleting need Factory.OpenWith and a
// [batch.Committer], and listing a Runtimes like loopstore.Loop's. Claiming, which is about
// a queue over all runtimes, needs Factory.OpenWith, a [batch.Committer] and a
// [state.Claimer], and following, about their changes, a [batch.Committer] and a
// [state.Follower]. Conditions, those of single calls, need nothing: a store without batches
// refuses them.
// The past needs Factory.OpenWith, a [batch.Committer], a [state.Viewer] and a
// [state.Historian]. Pieces, which are about imports, deletions and prunes that are
// larger than a journal's batch, need a [batch.Committer], and an Export and an Import
// like loopstore.Loop's. Promises about Close need a method Close() error.
//
// [store.RuntimeStore] documents what a store promises. A Close, if there is one,
// may be called again and by several goroutines at once, and returns nil. Once a
// Close has returned, every call gets store.ErrClosed. A call that runs during
// Close is answered, and its answer holds, or it gets store.ErrClosed. Package
// loopstore documents what batches, views, readers, watching, claims and changes promise.
//
// The suite sees only what callers see. If a store loses a write that it
// acknowledged while it closed, that shows only when it can be reopened.
//
// # A test of your own
//
// [New] gives a test a loop that is closed when the test ends. It works in a
// testing/synctest bubble:
//
//	synctest.Test(t, func(t *testing.T) {
//		loop := storetest.New(t)
//		…
//	})
//
// A [Ledger] notes the answer to every commit, for tests in which processes or
// servers fail. It finds commits that were lost, stored twice, or stored although
// they were refused.
//
// [Main] and [VerifyNoLeaks] find goroutines that tests leave behind. They point
// out a loop whose Close was forgotten.
package storetest
