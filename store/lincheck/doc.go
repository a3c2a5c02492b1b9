// Package lincheck checks that a [store.RuntimeStore] is linearizable under
// concurrent callers who give up at random, and that it answers as a model of
// the operations does: the ten of the interface, and batches and views where the
// store has them.
//
// # What is checked
//
// [Check] records histories: some callers run random programs of all ten
// operations on a few runtimes, and each call is noted with the moments of its
// start and its return. Every runtime uses the same run and input ids, and
// every write holds a mark that no other has, but for the runtime's state, of
// which there are only seven. Some calls have a context that has ended before,
// and some one that ends at any moment of the call. When all callers are done,
// one more loads all that there could be. The session documents have messages
// of all roles, in spellings of many kinds, and some of the earlier ones edited.
// The checker of
// github.com/anishathalye/porcupine then looks, runtime by runtime, for an order
// of the calls that keeps to these moments and in which each answer is the
// model's.
//
// A call that returned its context's error is left out of the history, as it
// promised to have changed nothing. Had it changed something, then a load that
// came by would show a mark that no call of the history wrote, or a commit a
// sequence that skips one. To find what is applied late, all loads of the ends
// are made once more after a pause, when all histories have been recorded.
//
// Some rules need no order. A call whose context had ended before gets that
// context's error and nothing else; one with a living context gets an answer or
// a refusal; a list is never nil; and every call returns within 30 seconds.
//
// [CheckProgram] runs such a program with one caller, and compares answer by
// answer. It draws from pgregory.net/rapid, which shrinks a program that fails.
// It does not look for what is applied late.
//
// # Batches and views
//
// A store that is a [batch.Committer] gets batches too, one that is a
// [state.Viewer] is looked at whole, and Config.Reader opens readers: one of each
// runtime that all callers share, and one for each caller. A reader may answer a
// call whose context has ended. Stores with the ten operations alone are checked as ever.
//
// A batch has up to two conditions, of all kinds, many of which ask for what the
// caller's own earlier calls have told it, and up to five writes, some of which
// cannot be done. In the histories above a batch is on one runtime, since they
// are looked through runtime by runtime. Versions count the changes of all, so
// the model knows only that each is later than the one before, until an answer
// tells it; from then on it must be the same until the next change. These show
// stale views and conditions under load.
//
// Besides, there are smaller histories (Config.Spanning) of three runtimes that
// are looked through as one: batches span runtimes, callers look at one after
// another, and every version and revision is exact. These show batches that are
// seen by halves. CheckProgram is as exact, without readers.
//
// # The model
//
// The model holds each runtime in plain lists that are never changed in place.
// It is written from the description of the operations, and shares no code with
// [state.State]. Of package ops it uses the operations' names, of package store
// the values and their JSON, to compare them whole. What it must know of a
// session document, which is whether it is valid, its digest and its count of
// messages, comes with the generated document; nothing is parsed.
//
// # Running it
//
//	go test                    # 200 histories of 2,000 operations, 200 of 200: about 15 seconds
//	go test -race              # 20 of each: about 30 seconds
//	go test -lincheck.long     # ten times as many histories, in ten times that
//
// The flag is one of this package's own tests, and those times are of two cores
// and a Loop.
//
// # Checking another store
//
// There is no release yet, and a replace in this module's go.mod counts for
// nothing in yours. So clone the repository, say into ../loopstore, and write
// both into your go.mod; go mod tidy adds the rest:
//
//	require (
//		github.com/loopstore/loopstore v0.0.0
//		github.com/loopstore/loopstore/store/lincheck v0.0.0
//	)
//
//	replace (
//		github.com/loopstore/loopstore => ../loopstore
//		github.com/loopstore/loopstore/store/lincheck => ../loopstore/store/lincheck
//	)
//
// Then these are the tests:
//
//	package mystore_test
//
//	import (
//		"testing"
//
//		"github.com/loopstore/loopstore/store"
//		"github.com/loopstore/loopstore/store/lincheck"
//		"pgregory.net/rapid"
//
//		"example.com/mystore"
//	)
//
//	func open() store.RuntimeStore { return mystore.New() }
//
//	func TestLinearizable(t *testing.T) {
//		lincheck.Check(t, open, lincheck.Config{}) // 20 histories: a second
//	}
//
//	func TestModel(t *testing.T) {
//		rapid.Check(t, func(t *rapid.T) { lincheck.CheckProgram(t, open) })
//	}
//
// Every store must be empty, and share nothing with the others. One that is an
// [io.Closer] is closed: by Check after all histories, by CheckProgram after its
// program. Check fails if the test's context has ended, as it has in t.Cleanup.
//
// When a history is refuted, the test's output names the runtime, the call that
// found no place, the model's answer and its state there, and a page that shows
// the whole history. With go test -artifacts the page is kept among the test's
// artifacts.
package lincheck
