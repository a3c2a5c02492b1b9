package storetest_test

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

// A canary is a loopstore.Loop with one fault. A suite that passes it has missed
// that fault.
type canary struct {
	name    string // the fault
	chapter string // the only one that fails, except for "never writes"
	promise string // one of that chapter that the fault breaks
	factory storetest.Factory
}

func canaries() []canary {
	return slices.Concat(queueCanaries(), feedCanaries(), []canary{
		{"loses leap seconds", "values", "a time comes back to the nanosecond, in a leap second too",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return losesLeapSeconds{l} })},
		{"writes a persisted input anew", "values", "an input state comes back with every member",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return compactsInputs{l} })},
		{"never writes", "operations", "CommitSessionBoundary mints a receipt, stores it and returns it",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return neverWrites{l} })},
		{"drops the snapshot without a session", "operations", "AtomicApply without a session leaves the snapshot",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return dropsTheSnapshot{l} })},
		{"digests the text as it came", "operations", "the digest is the same however a conversation is spelled",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return digestsTheText{l} })},
		{"half-applies a batch", "atomicity", "a lifecycle commit that is refused for one input changes nothing",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return halfApplies{l} })},
		{"overwrites on a refused commit", "atomicity", "a commit that is refused for its snapshot changes nothing",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return overwritesOnRefusal{l} })},
		{"trims runtime ids", "isolation", "ids that look alike are different runtimes",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return trimsRuntimeIDs{l} })},
		{"aliases its slices", "privacy", "AtomicApply copies what it is given",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return &aliasesSlices{Loop: l} })},
		{"hands out its own memory", "privacy", "LoadBoundaryReceipt returns a receipt that is the caller's own",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return &handsOutItsOwn{Loop: l} })},
		{"stamps the caller's updates", "privacy", "no write changes its arguments",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return stampsTheCallers{l} })},
		{"reorders inputs", "ordering", "inputs come in the order in which they were first stored",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return reordersInputs{l} })},
		{"loses a concurrent update", "concurrency", "no update is lost",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return losesUpdates{l} })},
		{"mints a sequence twice", "concurrency", "each sequence is minted once, and none is left out",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return &mintsTwice{Loop: l} })},
		{"shows half a batch", "concurrency", "a lifecycle commit is seen whole or not at all",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return showsHalfABatch{l} })},
		{"shows the parts of a batch in turn", "concurrency", "AtomicLifecycleCommit takes effect at one moment, in all its parts and for all callers",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return showsPartsInTurn{l} })},
		{"ignores the context", "cancellation", "a call whose context has ended fails with its error and changes nothing",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return ignoresContext{l} })},
		{"denies what it applied", "cancellation", "what is acknowledged is applied, and nothing else",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return deniesWhatItApplied{l} })},
		{"denies a batch that it applied", "cancellation", "what is acknowledged is applied, and nothing else",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return deniesABatch{l} })},
		{"forgets when it is reopened", "reopening", "everything is there again", forgets()},
		{"reopens with the first version", "reopening", "the latest version of everything is there", keepsTheFirst()},
		{"answers after Close", "closing", "every call after Close gets ErrClosed",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return answersAfterClose{l} })},
		{"leaks a goroutine", "closing", "no goroutine is left behind", faulty(leaksAGoroutine)},
		{"leaves half of a refused batch", "batches", "a batch changes nothing if a later write is refused",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return leavesHalf{l} })},
		{"checks conditions before the batch", "batches", "an input is claimed once, however many callers want it",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return checksBefore{l} })},
		{"passes over conditions", "conditions", "a call with a condition that does not hold changes nothing",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return passesOverConditions{l} })},
		{"commits on a stale claim", "fencing", "a claim that was put back commits nothing",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return takesAnyClaim{l} })},
		{"imports versions that were there before", "fencing", "an import gives inputs versions that no fence before it has",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return importsVersionsAnew{l} })},
		{"forgets a key", "keys", "a key outlives its input, and is not free",
			faultyWith(false, func(l *loopstore.Loop) store.RuntimeStore { return forgetsAKey{l} })},
		{"revives what was deleted", "deleting", "every write that would make a deleted runtime again is refused",
			faultyWith(true, func(l *loopstore.Loop) store.RuntimeStore { return revives{l} })},
		{"revives from the start", "deleting", "runs of a revived runtime begin after the highest sequence that any had",
			faultyWith(true, func(l *loopstore.Loop) store.RuntimeStore { return startsAgain{l} })},
		{"counts pages", "listing", "what stands throughout is listed once, whatever others write",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return countsPages{l} })},
		{"adds labels", "listing", "PutLabels replaces all labels",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return addsLabels{l} })},
		{"answers with an old view", "views", "a view shows what the operations find",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return &answersWithAnOldView{Loop: l} })},
		{"returns a stale view", "readers", "a reader shows what the operations find", returnsAStaleView()},
		{"takes half a line", "formats", "what is not of its format is refused, and changes nothing",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return takesHalfALine{l} })},
		{"hashes the beginning", "formats", "a session of 1 MB comes back",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return hashesTheBeginning{l} })},
		{"appends to a stale base", "appending", "the additions of many callers are all there, each once",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return appendsToAStaleBase{l} })},
		{"mints the digest of the addition", "appending", "an addition goes to the end of what stands",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return digestsTheAddition{l} })},
		{"counts the messages of the addition", "appending", "an addition goes to the end of what stands",
			faulty(func(l *loopstore.Loop) store.RuntimeStore { return countsTheAddition{l} })},
		{"shares a part that changes", "past", "a version never changes",
			faultyPast(func(l *loopstore.Loop) store.RuntimeStore { return sharesWhatChanges{l} })},
		{"forks that see later changes", "past", "a fork and what it was forked from do not see each other's changes",
			faultyPast(func(l *loopstore.Loop) store.RuntimeStore {
				return &forksFollow{Loop: l, forks: map[store.RuntimeID]store.RuntimeID{}}
			})},
		{"uses a version's number again", "past", "a version's number is never used again",
			faultyPast(func(l *loopstore.Loop) store.RuntimeStore { return reusesNumbers{l} })},
		{"keeps one version too many", "past", "the last versions are kept, as many as the Retention says", keepsOneTooMany()},
		{"shows half an import", "pieces", "an import is seen whole or not at all",
			faultyExtra(func(l *loopstore.Loop) store.RuntimeStore { return &showsHalfAnImport{Loop: l} })},
		{"loses a piece of an import", "pieces", "an import has all that was exported", onEngines(inMemory, losePiece)},
		{"has half of what was deleted come back", "pieces", "a large runtime is deleted whole, and stays away", onEngines(inMemory, bringBackHalf)},
		{"misses what changes meanwhile", "watching", "a watcher that takes its time delays no writer", missesChanges()},
	})
}

// faulty makes stores that have the ten operations and Close only. The fault is
// in those: a Loop's batches and views would answer as if it were not there.
func faulty(spoil func(*loopstore.Loop) store.RuntimeStore) storetest.Factory {
	type tenOperations struct {
		store.RuntimeStore
		io.Closer
	}
	return storetest.Factory{Open: func(testing.TB) store.RuntimeStore {
		loop := loopstore.New(loopstore.Options{})
		return tenOperations{spoil(loop), loop}
	}}
}

var verdict = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): TestCanaryChild/([^/ ]+)(?:/(\S+))? `)

// TestCanaries runs the suite on each canary. It must fail in the canary's chapter
// and pass the others. The canary that never writes fails nearly everywhere.
func TestCanaries(t *testing.T) {
	for _, c := range canaries() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			test, tried := "TestCanaryChild", 25
			if onlyOneChapter && c.name != "never writes" {
				test, tried = test+"$/^"+c.chapter, 1
			}
			out := runChild(t, test, c.name)
			chapters, promises := map[string]string{}, map[string]string{}
			for _, v := range verdict.FindAllStringSubmatch(out, -1) {
				if v[3] == "" {
					chapters[v[2]] = v[1]
				} else {
					promises[v[2]+"/"+v[3]] = v[1]
				}
			}
			require.Len(t, chapters, tried, "all chapters were tried:\n%s", out)
			promise := c.chapter + "/" + strings.ReplaceAll(c.promise, " ", "_")
			assert.Equal(t, "FAIL", promises[promise], promise)
			assert.Contains(t, out, "TestCanaryChild/"+promise+"\n", "the failure names chapter and promise")
			if c.name == "never writes" {
				for chapter, outcome := range chapters {
					lacks := slices.Contains([]string{"batches", "fencing", "keys", "deleting", "views", "readers", "watching", "claiming", "following", "listing", "past", "pieces", "reopening"}, chapter)
					assert.Equal(t, lacks, outcome != "FAIL", "%s: %s", chapter, outcome)
				}
				return
			}
			for chapter, outcome := range chapters {
				assert.Equal(t, chapter == c.chapter, outcome == "FAIL", "%s: %s", chapter, outcome)
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

func TestCanaryChild(t *testing.T) {
	for _, c := range canaries() {
		if c.name == os.Getenv(child) {
			storetest.Run(t, c.factory)
			return
		}
	}
	t.Skip("TestCanaries runs it")
}
