// Package lincheck checks that a [store.RuntimeStore] is linearizable under
// concurrent callers who give up at random, and that it answers as a model does. It
// covers the ten operations of the interface, and batches, views, the past of sessions,
// lists, deletions, imports, claims and the feed of changes if the store has them.
//
// # What is checked
//
// [Check] records histories. Several callers run random programs of the ten
// operations on a few runtimes, and the moments at which each call starts and
// returns are noted. All runtimes use the same run and input ids. Every write holds
// a mark that no other write has, except for the runtime's state, of which there are
// only seven, and for the sessions that can grow. Some calls have a context that has
// already ended, and some a context that ends at any moment of the call. When all
// callers are done, one more loads everything that could be there: the audit. Then the
// checker of github.com/anishathalye/porcupine looks at each runtime for an order of the
// calls that agrees with their moments and gives each call the model's answer.
//
// A call that returned its context's error is left out of the history, because it
// promises to have changed nothing. If it did change something, a later load shows a
// mark that no call of the history wrote, or a commit skips a sequence. To find
// writes that are applied late, Check repeats all audits after a pause, when every
// history is recorded.
//
// Some rules need no order. A call whose context has ended before it starts gets that
// context's error and no other. A call whose context is alive gets an answer or a
// refusal. A list is never nil. Every call returns within 30 seconds.
//
// [CheckProgram] runs such a program with one caller and compares each answer. It
// draws the program from pgregory.net/rapid, which shrinks a program that fails. It
// does not look for writes that are applied late.
//
// # Sessions
//
// The sessions of every other runtime are mostly Meerkat's documents. They have messages
// of all roles, spelled in many ways, and some edit an earlier message.
//
// Those of the others are mostly JSON Lines, and at times any bytes. They have no marks:
// whole texts and additions are made of the same four pieces. So what one caller appends,
// another one writes as a whole, and digests collide. Some texts have more than one part,
// and differ in a line at their beginning or in their middle. Three changes in four
// append to what stands, and so must be refused where that is of another format. A few
// are flawed: half a line, a blank one, an unknown format, a count where the format
// counts for itself.
//
// If the store is a [state.Historian], the programs load versions of sessions, mostly near
// the last one that the caller knows of. Some are not there yet, or no longer. Batches
// restore versions in the same way. Config.Versions says how many the store keeps. A
// version that a batch has made one too many goes after the batch's last write.
//
// # Batches and views
//
// If the store is a [batch.Committer], the programs commit batches too. If it is a
// [state.Viewer], they load views. Config.Reader opens readers: for each runtime one
// that all callers share, and one for each caller. A reader may answer a call whose
// context has ended.
//
// If the store has the Loop's LoadSession, the programs load sessions too. AtomicApply
// files them under keys that are not the ids of the documents, which a store takes unless
// its keys are strict. The histories that span runtimes leave sessions out.
//
// A batch has up to two conditions, of all kinds, and up to five writes, some of which
// must be refused. One in four of the commits of a single operation, and of the boundary
// commits in a batch, has conditions of its own. Many conditions use what the caller has
// learned from its own earlier calls, which others may have made stale. In the histories above, a batch is on one runtime, because the
// checker looks at each runtime alone. Versions count the changes of all runtimes.
// So the model knows only that a version is above the one before it, until an answer
// shows it; from then on it must stay the same until the next change. These histories
// find stale views, and conditions that are checked against a stale state.
//
// There are also smaller histories (Config.Spanning) of three runtimes that are checked
// as one. Batches span runtimes, callers look at one runtime after another, and every
// version and revision is exact. They have an audit after every 40 calls, so that the
// checker need not try each order in one runtime with each in the others. These histories
// find batches that are seen by halves. They have forks too, mostly to three more
// runtimes, to which little else is written and which are deleted more often.
// CheckProgram is as exact, but has no readers.
//
// # Versions of inputs
//
// The model holds the version of each input. It is compared with what views show, in all of
// their ways, and with the answers of LoadInput and LoadInputByKey if the store has them. A
// batch.InputVersionIs holds if it is that version, and for no other.
//
// In histories that are checked runtime by runtime a version is a lower bound too, until a
// view, LoadInput, the revision of a batch or a condition that held shows it. All that one
// change has made has one version. So what shows the version of one input shows it of the
// others, and of the runtime, if it was the same change. A version that is shown must not be
// below its bound, nor reach that of a later change of the runtime which is known; from then
// on it must stay the same until the next change. A condition on a version that nobody has
// seen holds or not as the store says. So these histories find a stale claim that commits,
// and may miss that a claim is refused which is not stale. The histories that are checked
// whole find both.
//
// After an import all inputs have one version. It is not known until an answer shows it, or
// a later revision: then it must be at least 2^32 beyond the revision, and all others follow
// from it. One export of each history with imports goes into two stores more, which
// must not give its inputs the same version.
//
// # Keys and tombstones
//
// A third of the inputs have one of six keys. If Config.UniqueKeys says so, an operation must
// be refused that gives an input a key which another one has at its end, or which is
// kept of one that is gone; the error's input and whether it is there are compared.
// Config.Keys says how many keys are kept. Views show them in their order.
//
// With Config.Tombstones, what would make a deleted runtime again must be refused with
// store.ErrDeleted, and batches bring runtimes back. Their sequences go on after the highest
// that any run had, whatever receipts callers store of their own. Of one operation that is
// refused for several reasons the order is: what is invalid, then a tombstone, then its
// conditions, then the rest, and last the keys.
//
// # Imports and deletions
//
// If the store has the Loop's Export and Import, there are further histories
// (Config.Importing), which span runtimes too. Before each, two other stores come by some
// content and export it, and the model follows. Then one or two callers import. To the
// model that is one step: nothing was ever held, and then all of the export is; or
// something was, and the answer is store.ErrNotEmpty. In two histories of three the others
// only load at first, so that the import is not refused; in the rest they write. Many of
// them begin when the file is read, while a journal takes it in pieces. These histories
// find imports that are seen by halves, or that take no notice of a write.
//
// If the store has the Loop's DeleteRuntime, the programs delete runtimes by that too, and
// if it has Runtimes, programs that span runtimes list them.
//
// This package's tests open stores again between the pieces of imports, and of deletions.
// Where a journal takes only little at once, Config.TooLarge is the error of a write that is
// larger. Such a call is left out of the history, as if it had been given up.
//
// # Claims
//
// With Config.Queue, callers of the histories that span runtimes claim inputs too, and end the
// turns that they have got: mostly with the version as the fence, and at times too late. In
// the model runtimes stand in a line. A claim gets the first input that it asks for of the
// first runtime that has one; while there is none, there is no place for it in the order of
// the calls. Config.AnyTurn leaves open which runtime is first. Claims of which one is
// answered before another are not told apart.
//
// Many claims are given up, some as they are served. The others wait until all callers are
// done or wait. If there is something for one of them then, it must be served, or it hangs;
// if not, they give up.
//
// # Changes
//
// If the store is a [state.Follower], and has views, every other history that spans runtimes
// has a follower, but for those with imports. It stops at times and goes on from its last cursor.
// After each audit it must come to know what that shows: the last version of each runtime that
// is there, and that the others are gone. It never hears of a runtime twice at one version, of
// versions that go back, or of one that no view shows yet. Where a view shows the very version
// of a change, nothing else has changed since the last such view than was said. This is checked
// beside the model: in between, a change may have a version that the runtime never had.
//
// # How much has been checked
//
// With Config.Record, Check adds a line about each of its runs to a file, and logs what
// all runs in it come to: for how long, and how many operations, nothing was found.
//
// # The model
//
// The model holds each runtime in plain lists that are never changed in place. It is
// written from the documentation of the operations and shares no code with
// [state.State]. From package ops it takes the names of operations, and from package
// store the values and their JSON, by which it compares them. It parses nothing: each
// generated text comes with what the model must know of it, whether it is valid, its
// digest and its number of messages. What is appended the model joins, and hashes whole.
//
// # Running it
//
//	go test                    # 200 histories of 2,000 operations, 250 of 200, and others: about 40 seconds
//	go test -race              # 20 of each: about 30 seconds
//	go test -lincheck.long     # ten times as many histories, in ten times that
//
// The flag belongs to this package's own tests. The times were measured on two cores.
//
// # Checking another store
//
// This module is not released. So clone the repository, say into ../loopstore, and
// write into your go.mod where both modules are; go mod tidy adds the rest:
//
//	replace (
//		github.com/loopstore/loopstore => ../loopstore
//		github.com/loopstore/loopstore/store/lincheck => ../loopstore/store/lincheck
//	)
//
// Then write the tests:
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
//		rapid.Check(t, func(t *rapid.T) { lincheck.CheckProgram(t, open, lincheck.Config{}) })
//	}
//
// Every store must be empty and share nothing with the others. Check closes the stores
// after all histories, and CheckProgram after its program, if they are [io.Closer]s.
// Check fails if the test's context has ended, as it has in t.Cleanup.
//
// When a history is refuted, the test's output names the runtime, the call for which
// there is no place in the order, the answer and the state of the model there, and a
// page that shows the whole history. go test -artifacts keeps the page among the
// test's artifacts.
package lincheck
