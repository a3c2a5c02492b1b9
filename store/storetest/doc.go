// Package storetest has tests for any [store.RuntimeStore], and what a test
// that uses a loopstore.Loop wants.
//
// # A store of your own
//
// [Run] tries every promise of [store.RuntimeStore] on a new store each:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, storetest.Factory{
//			Open: func(t testing.TB) store.RuntimeStore { return mystore.New(t.TempDir()) },
//		})
//	}
//
// A promise that is broken fails as TestConformance/chapter/promise, say
// TestConformance/atomicity/a_refused_commit_spends_no_sequence, with a line that
// says what the rule is. The chapters are values, operations, atomicity,
// isolation, privacy, ordering, concurrency, cancellation, batches, views,
// readers, watching, reopening and closing. Run it with -race; -short repeats
// less. A promise that does not end within Factory.Timeout fails with the stacks
// of all goroutines, and so does one of whose calls panics.
//
// What a store does not have is skipped, with a line that says so: batches
// unless it is a [store.Committer], views unless it is a [store.Viewer],
// watching unless it is a [store.Watcher], readers for a Factory without Reader
// (but those of a loopstore.Loop are found), reopening for one without Reopen,
// and what is about Close for a store without Close() error.
//
// What a store promises stands at [store.RuntimeStore]. Of Close, if it has one:
// it may be called again, by several at once too, and returns nil; when a Close
// has returned, every call gets store.ErrClosed. A call that Close meets is
// answered, and then counts, or gets store.ErrClosed. What batches, views,
// readers and watching promise stands at package loopstore.
//
// The suite sees what callers see. A write that is acknowledged while the store
// closes, and lost, shows only when the store can be reopened.
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
// A [Ledger] keeps a record of every acknowledgement, for a test in which owners
// or servers fail: it finds what is lost, doubled, or there though it was refused.
//
// [Main] and [VerifyNoLeaks] find the goroutines that tests leave behind, and
// say so if one is that of a loop whose Close was forgotten.
package storetest
