// Package journaltest has tests for any [journal.Engine], an engine in memory, and
// an engine that fails as it is told.
//
// # An engine of your own
//
// [Run] tests every promise of package journal, each on a new engine:
//
//	func TestConformance(t *testing.T) {
//		journaltest.Run(t, journaltest.Factory{
//			Open: func(t testing.TB) journal.Engine { return mine.New(t.TempDir()) },
//		})
//	}
//
// A broken promise fails as TestConformance/chapter/promise, for example
// TestConformance/appending/a_batch_is_stored_whole, and logs the rule. Run the
// test with -race; -short leaves out large values. A promise that the engine
// cannot be tested for is skipped, with the reason: see [Factory].
//
// # A journal for your tests
//
// [NewEngine] returns an engine in memory: what it stores is gone when the engine
// is. [NewFaulty] wraps an engine and fails as it is told:
//
//	memory := journaltest.NewEngine()
//	engine := journaltest.NewFaulty(memory)
//	engine.Next(journaltest.Fault{}, journaltest.Ambiguous(true)) // the first succeeds; the second is stored, but fails
//	…
//	require.Equal(t, 2, engine.Counts().Appends)
//
// Both work in a testing/synctest bubble, where latency takes no time.
package journaltest
