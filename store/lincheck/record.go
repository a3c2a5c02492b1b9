package lincheck

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A caller makes the calls of a program, one after the other.
type caller struct {
	program []turn
	due     int          // how many of them it makes before the next audit
	made    atomic.Int64 // calls that have returned. Others may read these, and the next one's arguments
	memory  memory
	readers map[store.RuntimeID]Look // the caller's own
}

// A history is what was recorded on one store.
type history struct {
	operations []porcupine.Operation // without the cancelled ones
	audit      []turn                // the last one
	stats      Stats
}

// A recorder runs programs on a store. It takes the moments of every call from one
// clock, which never returns the same moment twice.
type recorder struct {
	store   store.RuntimeStore
	readers map[store.RuntimeID]Look // that all callers share
	clock   atomic.Int64
	refused error   // Config.TooLarge
	gates   []*gate // of imports

	rules    rules
	runtimes int // that may have something to claim
	crowd    *crowd
}

func newRecorder(s store.RuntimeStore, cfg *Config) *recorder {
	return &recorder{store: s, readers: readersOf(s, cfg), refused: cfg.TooLarge, gates: newGates(), rules: cfg.rules(), runtimes: cfg.Runtimes + forkIDs}
}

// record runs a history's programs side by side, with an audit after each round and at the
// end. On an error it returns the history of the calls that were made.
func record(ctx context.Context, s store.RuntimeStore, cfg Config, n int) (*history, error) {
	r, can := newRecorder(s, &cfg), abilitiesOf(s, &cfg)
	can.files = can.files && (!cfg.spans || cfg.imports) // the others are short, and for batches
	can.forks, can.lists, can.claims = can.history && cfg.spans, can.lists && cfg.spans, can.claims && cfg.spans
	callers := make([]*caller, cfg.Callers)
	for i := range callers {
		share := (cfg.Operations + i) / cfg.Callers // the shares add up to all operations
		callers[i] = &caller{program: program(cfg, can, n, i, share), readers: readersOf(s, &cfg)}
	}
	auditor, audited := new(caller), 0
	follower := followerOf(s, cfg, can, n)
	var err error
	for more := true; more && err == nil; {
		more = false
		for _, c := range callers {
			c.due = min(c.due+cfg.round, len(c.program))
			more = more || c.due < len(c.program)
		}
		stop := follower.start(ctx)
		err = r.run(ctx, callers...)
		if err = errors.Join(err, stop()); err == nil {
			audited = len(auditor.program)
			auditor.program = append(auditor.program, audit(callers, cfg.Runtimes, can)...)
			auditor.due = len(auditor.program)
			err = r.run(context.WithoutCancel(ctx), auditor)
		}
		if err == nil {
			err = follower.audit(context.WithoutCancel(ctx), auditor.program[audited:])
		}
	}
	h, wrong := collect(callers, auditor)
	if follower != nil {
		h.stats.Changes = follower.shown
	}
	h.audit = h.audit[min(audited, len(h.audit)):]
	return h, errors.Join(wrong, err)
}

// run has callers make their calls that are due. Its error names a call that hangs.
func (r *recorder) run(ctx context.Context, callers ...*caller) error {
	start, done := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	r.gather(ctx, &wg, len(callers))
	for _, c := range callers {
		wg.Go(func() {
			defer r.crowd.leave(nil, nil)
			<-start
			to := access{store: r.store}
			to.readers[bySharedOne], to.readers[byOwnOne] = r.readers, c.readers
			for i := int(c.made.Load()); i < c.due; i++ {
				r.take(ctx, &wg, to, &c.program[i])
				c.next(i)
			}
		})
	}
	close(start)
	go func() {
		defer close(done)
		wg.Wait()
	}()
	return watch(done, callers)
}

// next learns from the call that has returned, and prepares the next one.
func (c *caller) next(i int) {
	if c.memory == nil {
		c.memory = make(memory)
	}
	c.memory.learn(&c.program[i])
	if i+1 < len(c.program) {
		c.memory.recall(c.program[i+1].call)
	}
	c.made.Add(1)
}

// watch waits until done is closed or a call hangs. It notices a call that hangs after
// one to two limits.
func watch(done <-chan struct{}, callers []*caller) error {
	tick := time.NewTicker(limit)
	defer tick.Stop()
	before := make([]int64, len(callers))
	for {
		select {
		case <-done:
			return nil
		case <-tick.C:
		}
		for i, c := range callers {
			made := c.made.Load()
			if made == before[i] && made < int64(c.due) {
				return hanging(c.program[made].call)
			}
			before[i] = made
		}
	}
}

// program makes the program of one caller. The same seed makes the same program.
func program(cfg Config, can abilities, history, caller, length int) []turn {
	rng := rand.New(rand.NewPCG(cfg.Seed, uint64(history)<<16|uint64(caller)))
	pick := func(_ string, n int) int { return rng.IntN(n) }
	const marks = 1 + 6 // that a call and its writes use up
	g := generator{pick: pick, runtimes: cfg.Runtimes, mark: caller * cfg.Operations * marks, abilities: can, spans: cfg.spans, revives: cfg.Tombstones > 0, queue: cfg.Queue}
	turns := make([]turn, length)
	for i := range turns {
		turns[i].call = g.call()
		switch n := rng.IntN(100); {
		case n < 3:
			turns[i].plan = plan{ends: true, after: -1}
		case n < 25:
			turns[i].plan = plan{ends: true, after: rng.IntN(4), yield: rng.IntN(2) == 0}
		}
		turns[i].plan.looks = rng.IntN(4) == 0
		if turns[i].call.kind == ops.KindClaimNext {
			turns[i].plan.waits(rng)
		}
	}
	if cfg.imports {
		importing(&g, rng, cfg.exports, history, caller, turns)
	}
	return turns
}

// take makes one call.
func (r *recorder) take(ctx context.Context, wg *sync.WaitGroup, to access, t *turn) {
	if t.plan.awaits > 0 {
		<-r.gates[t.plan.awaits-1].open
	}
	if t.plan.opens > 0 {
		to.read = r.gates[t.plan.opens-1].pass
		defer to.read()
	}
	if t.plan.ends {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		switch {
		case t.plan.idles:
			r.crowd.leave(t, cancel)
			defer r.crowd.comeBack(t)
		case t.plan.after < 0:
			cancel()
		default:
			wg.Go(func() {
				for range t.plan.after {
					runtime.Gosched()
				}
				cancel()
			})
		}
	}
	if t.plan.yield {
		runtime.Gosched()
	}
	t.called = r.clock.Add(1)
	t.perform(ctx, to)
	t.returned = r.clock.Add(1)
	t.tooLarge = r.refused != nil && errors.Is(t.err, r.refused)
}

// audit returns a program that loads everything that the calls which were due could have
// stored. It shows a write that was lost, and one that should not have been applied,
// even if no load of those programs did.
func audit(callers []*caller, runtimes int, can abilities) []turn {
	type key struct {
		runtime  store.RuntimeID
		run      store.RunID
		sequence uint64
	}
	var turns []turn
	add := func(c call) { turns = append(turns, turn{call: &c}) }
	seen := make(map[key]bool)
	look := func(k key) {
		if !seen[k] {
			seen[k] = true
			add(call{kind: ops.KindLoadBoundaryReceipt, runtime: k.runtime, receipt: receipt{run: k.run, sequence: k.sequence}})
		}
	}
	if can.forks {
		runtimes += forkIDs
	}
	if can.lists {
		add(call{kind: ops.KindListRuntimes})
	}
	versions := stored(callers)
	for n := range runtimes {
		id := runtimeID(n)
		for _, kind := range []ops.Kind{ops.KindLoadInputStates, ops.KindLoadSessionSnapshot, ops.KindLoadRuntimeState} {
			add(call{kind: kind, runtime: id})
		}
		if can.views {
			add(call{kind: ops.KindLoadView, runtime: id})
		}
		if can.reads {
			add(call{kind: ops.KindLoadView, runtime: id, by: bySharedOne})
		}
		for n := range byte(2) {
			if can.files {
				add(call{kind: ops.KindLoadSession, runtime: id, key: store.SessionID{14: id[len(id)-1], 15: n + 1}})
			}
		}
		last := versions[id]
		if can.views { // they show those that are kept
			last = min(last, 2)
		}
		for number := range last + 1 {
			if can.history {
				add(call{kind: ops.KindLoadSessionAt, runtime: id, number: number + 1})
			}
		}
		for run := range runIDs {
			look(key{id, runID(run), 0})
		}
	}
	for _, c := range callers {
		for i := range c.program[:c.due] {
			c.program[i].stored(func(id store.RuntimeID, r receipt) {
				look(key{id, r.run, r.sequence})
				look(key{id, r.run, r.sequence + 1}) // a cancelled commit would show there
			})
		}
	}
	return turns
}

// collect makes a history of the calls that were made. Its error is the first answer
// that is wrong whatever the store holds.
func collect(callers []*caller, auditor *caller) (*history, error) {
	h := &history{audit: auditor.program[:auditor.made.Load()]}
	var wrong error
	var since int64
	for i, c := range append(callers, auditor) {
		made := c.program[:c.made.Load()]
		for j := range made {
			t := &made[j]
			if err := h.add(i, t); err != nil && (wrong == nil || t.returned < since) {
				wrong, since = err, t.returned
			}
		}
		h.stats.Operations += len(made)
	}
	h.stats.Audited = len(h.audit)
	h.stats.Operations -= len(h.audit)
	for _, part := range byRuntime(h.operations) {
		h.stats.Overlapping += overlapping(part)
	}
	return h, wrong
}

// add counts a call, and puts it into the history unless it was cancelled.
func (h *history) add(caller int, t *turn) error {
	if t.gaveUp {
		h.stats.Cancelled++
		if t.underWay {
			h.stats.CancelledUnderWay++
		}
	}
	a, err := t.judge()
	if err != nil || a == nil {
		if t.tooLarge {
			h.stats.TooLarge++
		}
		return err
	}
	h.count(t.call, a)
	h.operations = append(h.operations, porcupine.Operation{
		ClientId: caller, Input: t.call, Call: t.called, Output: a, Return: t.returned,
	})
	return nil
}

func (h *history) count(c *call, a *answer) {
	switch {
	case a.refusal == store.ErrConflict:
		h.stats.Conflicts++
	case a.refusal == store.ErrKeyTaken:
		h.stats.KeysTaken++
	case a.refusal == store.ErrDeleted:
		h.stats.Deleted++
	case c.batch != nil && a.refusal == nil:
		h.stats.Batches++
	case len(c.conditions) > 0 && a.refusal == nil:
		h.stats.Guarded++
	case a.view != nil:
		h.stats.Views++
	case c.export != nil && a.refusal == nil:
		h.stats.Imports++
	case a.claimed != "":
		h.stats.Claims++
	}
	if a.refusal != nil {
		h.stats.Refused++
		return
	}
	h.stats.past(c)
	if c.batch != nil {
		for _, w := range c.batch.writes {
			h.stats.past(w)
		}
	}
}

// overlapping counts the operations that began during another.
func overlapping(part []porcupine.Operation) (n int) {
	slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var end int64
	for _, o := range part {
		if o.Call < end {
			n++
		}
		end = max(end, o.Return)
	}
	return n
}
