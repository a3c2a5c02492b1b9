package journaltest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

const child = "LOOPSTORE_JOURNALTEST_CHILD" // names the canary that a child process tries

var verdict = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): TestCanaryChild/([^/ ]+/\S+) `)

// Each canary must fail in its promise, in a process of its own.
func TestCanaries(t *testing.T) {
	for _, c := range canaries() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCanaryChild$", "-test.v", "-test.count=1", "-test.short")
			cmd.Env = append(os.Environ(), child+"="+c.name)
			out, err := cmd.CombinedOutput()
			exit, failed := errors.AsType[*exec.ExitError](err)
			require.True(t, failed, "it did not fail: %v\n%s", err, out)
			require.Equal(t, 1, exit.ExitCode(), "%s", out)
			require.NotContains(t, string(out), "panic:")
			promises := map[string]string{}
			passed := 0
			for _, v := range verdict.FindAllStringSubmatch(string(out), -1) {
				promises[v[2]] = v[1]
				if v[1] == "PASS" {
					passed++
				}
			}
			promise := c.chapter + "/" + strings.ReplaceAll(c.promise, " ", "_")
			assert.Equal(t, "FAIL", promises[promise], promise)
			assert.Greater(t, passed, 3, "it is wrong in one way")
			assert.True(t, strings.Contains(string(out), "journaltest: the rule is: "+c.promise), "the failure says the rule")
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}

func TestCanaryChild(t *testing.T) {
	for _, c := range canaries() {
		if c.name == os.Getenv(child) {
			Run(t, c.factory)
			return
		}
	}
	t.Skip("it is run by TestCanaries")
}

// A canary is an engine that breaks one promise. If the suite passes it, the suite
// has missed that.
type canary struct {
	name    string // its fault
	chapter string // of [Run], where it fails
	promise string // of that chapter, which it breaks
	factory Factory
}

// canaries are engines that are wrong on purpose: each is a [Memory] with one
// fault. One leaks a goroutine for good, so each runs in a process of its own.
func canaries() []canary {
	return []canary{
		{"stores the first change only", "appending", "a batch is stored whole", changing(func(b *journal.Batch) { b.Changes = b.Changes[:1] })},
		{"keeps the first change of a key", "appending", "the last change of a key wins", changing(keepFirst)},
		{"never deletes", "appending", "a later batch replaces and deletes", changing(func(b *journal.Batch) {
			b.Changes = slices.DeleteFunc(slices.Clone(b.Changes), func(c journal.Change) bool { return c.Delete })
		})},
		{"refuses to delete an absent key", "appending", "deleting an absent key is no error", spoiled(func(j *spoilt) { j.needsTheKey = true })},
		{"refuses a batch that it knows", "appending", "a batch that is applied again does no harm", spoiled(func(j *spoilt) { j.refusesAgain = true })},
		{"counts from the start in every epoch", "appending", "indexes grow by one per batch, over all Opens", spoiled(func(j *spoilt) { j.ownIndex = true })},
		{"sorts the caller's changes", "appending", "arguments are not changed", changing(func(b *journal.Batch) {
			slices.SortStableFunc(b.Changes, func(a, b journal.Change) int { return bytes.Compare(a.Key, b.Key) })
		})},
		{"keeps the caller's slices", "appending", "arguments are not kept", spoiled(func(j *spoilt) { j.late = 1 })},
		{"stores with the next batch only", "durability", "what was acknowledged is there after Close", spoiled(func(j *spoilt) { j.late = 2 })},
		{"stores on Close only", "durability", "what was acknowledged is there after a crash", spoiled(func(j *spoilt) { j.late = 3 })},
		{"stores after Close", "durability", "after Close nothing is stored", spoiled(func(j *spoilt) { j.neverCloses = true })},
		{"stores half when the context has ended", "durability", "a context that has ended leaves all or nothing", spoiled(func(j *spoilt) { j.halfWhenEnded = true })},
		{"emits in any order", "emission", "keys come in ascending order, once, and only those that stand", emitting(func(all []journal.Change) []journal.Change {
			slices.Reverse(all)
			return all
		})},
		{"emits a key twice", "emission", "keys come in ascending order, once, and only those that stand", emitting(func(all []journal.Change) []journal.Change {
			return append(all[:min(1, len(all)):min(1, len(all))], all...)
		})},
		{"goes on after an error of emit", "emission", "an error of emit ends Open, which returns it", opening(func(e *spoiler) { e.ignoresEmit = true })},
		{"makes its own error of emit's", "emission", "an error of emit ends Open, which returns it", opening(func(e *spoiler) { e.ownError = true })},
		{"opens though the context has ended", "emission", "an Open with a context that has ended fails and holds nothing", opening(func(e *spoiler) { e.ignoresContext = true })},
		{"takes an empty value for a delete", "values", "an empty value is not an absent key", changing(func(b *journal.Batch) {
			for i := range b.Changes {
				b.Changes[i].Delete = len(b.Changes[i].Value) == 0
			}
		})},
		{"ends keys at a zero byte", "values", "keys and values are any bytes", changing(func(b *journal.Batch) {
			b.Changes = slices.Clone(b.Changes)
			for i, c := range b.Changes {
				b.Changes[i].Key, _, _ = bytes.Cut(c.Key, []byte{0})
			}
		})},
		{"takes what is too large", "limits", "a key as long as the limit is stored, a longer one is refused", limited(func(j *spoilt) { j.noLimits = true })},
		{"stores half of a refused batch", "limits", "a refused batch leaves nothing, and the journal goes on", limited(func(j *spoilt) { j.halfOfRefused = true })},
		{"is of no use after a refused batch", "limits", "a refused batch leaves nothing, and the journal goes on", limited(func(j *spoilt) { j.endsRefused = true })},
		{"has one epoch", "holding", "epochs grow with every Open", spoiled(func(j *spoilt) { j.oneEpoch = true })},
		{"lets two holders append", "holding", "a second holder fences the first", opening(func(e *spoiler) { e.twoHolders = true })},
		{"loses the last key in Compact", "compaction", "Compact changes nothing, and the journal goes on", spoiled(func(j *spoilt) { j.losesInCompact = true })},
		{"has one partition", "partitions", "partitions do not see each other", opening(func(e *spoiler) { e.name = func(string) string { return "" } })},
		{"ignores the case of names", "partitions", "a name is any text, or is refused", opening(func(e *spoiler) { e.name = strings.ToLower })},
		{"closes once", "closing", "Close may be called again", spoiled(func(j *spoilt) { j.closesOnce = true })},
		{"leaks a goroutine", "closing", "no goroutine is left behind", opening(func(e *spoiler) { e.leaks = true })},
	}
}

// keepFirst leaves out all changes of a key but the first.
func keepFirst(b *journal.Batch) {
	seen := map[string]bool{}
	b.Changes = slices.DeleteFunc(slices.Clone(b.Changes), func(c journal.Change) bool {
		again := seen[string(c.Key)]
		seen[string(c.Key)] = true
		return again
	})
}

// opening is of an engine with a fault of its Open.
func opening(spoil func(*spoiler)) Factory {
	return Factory{Open: func(testing.TB) journal.Engine {
		e := &spoiler{Memory: NewEngine(), spoil: func(*spoilt) {}, name: func(name string) string { return name }}
		spoil(e)
		return e
	}}
}

// emitting is of one that emits something else.
func emitting(change func([]journal.Change) []journal.Change) Factory {
	return opening(func(e *spoiler) { e.emits = change })
}

// spoiled is of one with a fault of its journals.
func spoiled(spoil func(*spoilt)) Factory { return opening(func(e *spoiler) { e.spoil = spoil }) }

// changing is of one that stores another batch.
func changing(change func(*journal.Batch)) Factory {
	return spoiled(func(j *spoilt) { j.change = change })
}

// limited is of one with limits, and a fault of its journals.
func limited(spoil func(*spoilt)) Factory {
	return opening(func(e *spoiler) {
		e.Limits = journal.Limits{KeyBytes: 60_000, ValueBytes: 200_000, BatchBytes: 1 << 20}
		e.spoil = spoil
	})
}

// A spoiler is an engine with a fault.
type spoiler struct {
	*Memory
	spoil                             func(*spoilt)
	name                              func(string) string
	emits                             func([]journal.Change) []journal.Change
	ignoresEmit, ownError             bool
	ignoresContext, twoHolders, leaks bool
}

func (e *spoiler) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	if e.ignoresContext {
		ctx = context.WithoutCancel(ctx)
	}
	if e.leaks {
		go func() { select {} }()
	}
	var all []journal.Change
	inner, err := e.Memory.Open(ctx, e.name(partition), func(c journal.Change) error {
		all = append(all, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if e.emits != nil {
		all = e.emits(all)
	}
	for _, c := range all {
		if err := emit(c); err != nil && !e.ignoresEmit {
			if e.ownError {
				err = errors.New("journaltest: emit failed")
			}
			return nil, errors.Join(err, inner.Close(ctx))
		}
	}
	j := &spoilt{Journal: inner, memory: inner.(*memoryJournal), twoHolders: e.twoHolders}
	e.spoil(j)
	return j, nil
}

// spoilt is a journal with a fault.
type spoilt struct {
	journal.Journal
	memory *memoryJournal

	change                                        func(*journal.Batch)
	needsTheKey, refusesAgain, ownIndex, oneEpoch bool
	neverCloses, halfWhenEnded, twoHolders        bool
	noLimits, halfOfRefused, endsRefused          bool
	losesInCompact, closesOnce                    bool
	late                                          int // 1: stores a copy too, with what the slices hold later; 2: with the next batch; 3: on Close

	seen    map[[16]byte]bool
	index   uint64
	waiting []journal.Batch
	closed  bool
}

func (j *spoilt) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	if j.change != nil {
		j.change(&b)
		if len(b.Changes) == 0 {
			b.Changes = []journal.Change{{Key: []byte("nothing"), Delete: true}}
		}
	}
	if err := j.refuses(ctx, b); err != nil {
		return journal.Position{}, err
	}
	at, err := j.store(ctx, b)
	if err != nil {
		if j.halfOfRefused && errors.Is(err, journal.ErrRejected) {
			j.put(b.Changes[:1])
		}
		if j.endsRefused {
			j.memory.ended = ErrClosed
		}
		return at, err
	}
	j.index++
	if j.ownIndex {
		at.Index = j.index
	}
	if j.oneEpoch {
		at.Epoch = 1
	}
	return at, nil
}

// refuses is about the faults that come before a batch is stored.
func (j *spoilt) refuses(ctx context.Context, b journal.Batch) error {
	if j.needsTheKey {
		for _, c := range b.Changes {
			if _, ok := j.memory.partition.values[string(c.Key)]; c.Delete && !ok {
				return ErrUnknown
			}
		}
	}
	if j.refusesAgain && j.seen[b.ID] {
		return ErrUnknown
	}
	if j.seen == nil {
		j.seen = map[[16]byte]bool{}
	}
	j.seen[b.ID] = true
	if j.halfWhenEnded && ctx.Err() != nil {
		j.put(b.Changes[:1])
	}
	return nil
}

// put stores changes behind the journal's back.
func (j *spoilt) put(changes []journal.Change) {
	for _, c := range changes {
		j.memory.partition.values[string(c.Key)] = bytes.Clone(c.Value)
	}
}

func (j *spoilt) store(ctx context.Context, b journal.Batch) (journal.Position, error) {
	switch {
	case j.late == 1:
		j.replay()
		j.waiting = append(j.waiting, b)
	case j.late > 1:
		if j.late == 2 {
			j.replay()
		}
		j.waiting = append(j.waiting, b)
		return j.Journal.Append(ctx, batch(journal.Change{Key: []byte("nothing"), Delete: true}))
	case j.twoHolders:
		j.put(b.Changes)
		return j.memory.partition.Position, nil
	case j.noLimits && j.memory.ended == nil:
		at, err := j.Journal.Append(ctx, b)
		if errors.Is(err, journal.ErrRejected) {
			j.put(b.Changes)
			return j.memory.partition.Position, nil
		}
		return at, err
	}
	return j.Journal.Append(ctx, b)
}

// replay stores what waits, as it is now.
func (j *spoilt) replay() {
	for _, b := range j.waiting {
		for _, c := range b.Changes {
			if c.Delete {
				delete(j.memory.partition.values, string(c.Key))
			} else {
				j.memory.partition.values[string(c.Key)] = bytes.Clone(c.Value)
			}
		}
	}
	j.waiting = nil
}

func (j *spoilt) Compact(ctx context.Context, live iter.Seq[journal.Change]) error {
	if values := j.memory.partition.values; j.losesInCompact && len(values) > 0 {
		keys := slices.Sorted(maps.Keys(values))
		delete(values, keys[len(keys)-1])
	}
	return j.Journal.Compact(ctx, live)
}

func (j *spoilt) Close(ctx context.Context) error {
	if j.closesOnce && j.closed {
		return ErrClosed
	}
	j.closed = true
	if j.late == 3 {
		j.replay()
	}
	if j.neverCloses {
		return nil
	}
	return j.Journal.Close(ctx)
}
