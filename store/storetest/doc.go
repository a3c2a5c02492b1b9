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
// TestConformance/atomicity/a_refused_commit_spends_no_sequence. The chapters are
// values, operations, atomicity, isolation, privacy, ordering, concurrency,
// cancellation, reopening and closing. The last two are skipped, with a line
// that says so, for a store that cannot be reopened or has no Close. Run it
// with -race.
//
// [Canaries] are stores that are wrong on purpose, each in one way: the suite
// is worth what it says of them.
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
// [Main] and [VerifyNoLeaks] find the goroutines that tests leave behind, and
// say so if one is that of a loop whose Close was forgotten.
package storetest
