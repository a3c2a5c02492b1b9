// Package lincheck checks that a [store.RuntimeStore] is linearizable under
// concurrent callers who give up at random, and that it answers as a model of
// the ten operations does.
//
// # What is checked
//
// [Check] records histories: some callers run random programs of all ten
// operations on a few runtimes, and each call is noted with the moments of its
// start and its return. Every runtime uses the same run and input ids, and
// every write holds a mark that no other has, but for the runtime's state, of
// which there are only seven. Some calls have a context that has ended before,
// and some one that ends at any moment of the call. When all callers are done,
// one more loads all that there could be. The checker of
// github.com/anishathalye/porcupine then looks, runtime by runtime, for an order
// of the calls that keeps to these moments and in which each answer is the
// model's.
//
// A call that returned its context's error is left out of the history, as it
// promised to have changed nothing. Had it changed something, then a load that
// came by would show a mark that no call of the history wrote, or a commit a
// sequence that skips one.
//
// [CheckProgram] runs such a program with one caller, and compares answer by
// answer. It draws from pgregory.net/rapid, which shrinks a program that fails.
//
// # The model
//
// The model holds one runtime in plain lists that are never changed in place.
// It is written from the description of the operations, and shares no code with
// [store.State]. Of package ops it uses the operations' names, of package store
// the values and their JSON, to compare them whole. What it must know of a
// session document, which is whether it is valid, its digest and its count of
// messages, comes with the generated document; nothing is parsed.
//
// # Running it
//
//	go test                    # 200 histories of 2,000 operations; 80 with -race
//	go test -lincheck.long     # ten times that
//
// # Checking another store
//
//	func TestLinearizable(t *testing.T) {
//		lincheck.Check(t, func() store.RuntimeStore { return mystore.Open(t.TempDir()) }, lincheck.Config{})
//	}
//
//	func TestModel(t *testing.T) {
//		rapid.Check(t, func(t *rapid.T) { lincheck.CheckProgram(t, mystore.New()) })
//	}
//
// When a history is refuted, the test's output names the runtime and the call
// that found no place, and a page that shows the whole history.
package lincheck
