// Package journaltest has tests for any [journal.Engine], an engine in memory,
// and one that fails as it is told.
//
// # An engine of your own
//
// [Run] tries every promise of package journal on a new engine each:
//
//	func TestConformance(t *testing.T) {
//		journaltest.Run(t, journaltest.Factory{
//			Open: func(t testing.TB) journal.Engine { return mine.New(t.TempDir()) },
//		})
//	}
//
// A promise that is broken fails as TestConformance/chapter/promise, say
// TestConformance/appending/a_batch_is_stored_whole, with a line that says what
// the rule is. Run it with -race; -short leaves out what is large. What an engine
// does not have is skipped, with a line that says so: see [Factory].
//
// [Canaries] are engines that are wrong on purpose, each in one way: the suite
// is worth what it says of them.
//
// # A journal for your tests
//
// [NewEngine] returns an engine in memory, which keeps what it is given for as
// long as it is there itself. [NewFaulty] returns one that stands before another
// and fails as it is told:
//
//	memory := journaltest.NewEngine()
//	engine := journaltest.NewFaulty(memory)
//	engine.Next(journaltest.Fault{}, journaltest.Ambiguous(true)) // the first goes well, the second is stored and denied
//	…
//	require.Equal(t, 2, engine.Counts().Appends)
//
// Both work in a testing/synctest bubble, where latency takes no time.
package journaltest
