package lincheck

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A plan says when the context of a call ends.
type plan struct {
	ends  bool
	after int  // how often another goroutine yields first; negative: before the call
	yield bool // whether the caller yields before the call, and so lets that goroutine start
}

// A turn is one call of a program, and what came of it.
type turn struct {
	call *call
	plan plan

	reply            reply
	err              error
	underWay         bool // began with a living context
	gaveUp           bool
	called, returned int64
}

// GoString shows the call, where rapid shows a program.
func (t turn) GoString() string { return t.call.String() }

// A history is what was recorded of one store.
type history struct {
	operations []porcupine.Operation // without the cancelled ones
	stats      Stats
}

// A recorder runs programs on a store, and stamps the moments of every call
// from one clock that never gives the same moment twice.
type recorder struct {
	store store.RuntimeStore
	clock atomic.Int64
}

// record runs a history's programs side by side, and an audit when all are
// done. The error is one that no call should have got.
func record(ctx context.Context, s store.RuntimeStore, cfg Config, n int) (*history, error) {
	r := &recorder{store: s}
	programs := make([][]turn, cfg.Callers)
	for caller := range programs {
		share := (cfg.Operations + caller) / cfg.Callers // they add up
		programs[caller] = program(cfg, n, caller, share)
	}
	start := make(chan struct{})
	var g errgroup.Group
	for _, p := range programs {
		g.Go(func() error {
			<-start
			for i := range p {
				r.take(ctx, &g, &p[i])
			}
			return nil
		})
	}
	close(start)
	if err := g.Wait(); err != nil {
		return nil, err
	}
	last := audit(programs, cfg.Runtimes)
	for i := range last {
		r.take(ctx, &g, &last[i])
	}
	return collect(append(programs, last))
}

// program makes the program of one caller, which is the same for the same
// seed.
func program(cfg Config, history, caller, length int) []turn {
	rng := rand.New(rand.NewPCG(cfg.Seed, uint64(history)<<16|uint64(caller)))
	pick := func(_ string, n int) int { return rng.IntN(n) }
	g := generator{pick: pick, runtimes: cfg.Runtimes, mark: caller * cfg.Operations}
	turns := make([]turn, length)
	for i := range turns {
		turns[i].call = g.call()
		switch n := rng.IntN(100); {
		case n < 3:
			turns[i].plan = plan{ends: true, after: -1}
		case n < 25:
			turns[i].plan = plan{ends: true, after: rng.IntN(4), yield: rng.IntN(2) == 0}
		}
	}
	return turns
}

// take makes one call.
func (r *recorder) take(ctx context.Context, g *errgroup.Group, t *turn) {
	if t.plan.ends {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		if t.plan.after < 0 {
			cancel()
		} else {
			g.Go(func() error {
				for range t.plan.after {
					runtime.Gosched()
				}
				cancel()
				return nil
			})
		}
	}
	if t.plan.yield {
		runtime.Gosched()
	}
	t.underWay = ctx.Err() == nil
	t.called = r.clock.Add(1)
	t.reply, t.err = t.call.perform(ctx, r.store)
	t.returned = r.clock.Add(1)
	t.gaveUp = gaveUp(ctx, t.err)
}

// audit is a program that loads all that the programs could have stored, so
// that an effect that was lost, or one that should not be, shows even if no
// load of theirs came by.
func audit(programs [][]turn, runtimes int) []turn {
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
	for n := range runtimes {
		id := runtimeID(n)
		for _, kind := range []ops.Kind{ops.KindLoadInputStates, ops.KindLoadSessionSnapshot, ops.KindLoadRuntimeState} {
			add(call{kind: kind, runtime: id})
		}
		for run := range runIDs {
			look(key{id, runID(run), 0})
		}
	}
	for _, t := range slices.Concat(programs...) {
		var stored receipt
		switch c := t.call; {
		case c.kind == ops.KindAtomicApply && c.flaw == nil:
			stored = c.receipt
		case c.kind == ops.KindCommitSessionBoundary && t.err == nil:
			stored = receiptOf(*t.reply.receipt)
		default:
			continue
		}
		look(key{t.call.runtime, stored.run, stored.sequence})
		look(key{t.call.runtime, stored.run, stored.sequence + 1}) // where a cancelled commit would show
	}
	return turns
}

// collect makes a history of what the callers did, the last of whom was the
// audit.
func collect(programs [][]turn) (*history, error) {
	h := &history{stats: Stats{Histories: 1}}
	for caller, p := range programs {
		for i := range p {
			t := &p[i]
			if caller < len(programs)-1 {
				h.stats.Operations++
			} else {
				h.stats.Audited++
			}
			if t.gaveUp {
				h.stats.Cancelled++
				if t.underWay {
					h.stats.CancelledUnderWay++
				}
				continue
			}
			a, err := answerOf(t.reply, t.err)
			if err != nil {
				return nil, fmt.Errorf("%v: unexpected error: %w", t.call, err)
			}
			if a.refusal != nil {
				h.stats.Refused++
			}
			h.operations = append(h.operations, porcupine.Operation{
				ClientId: caller, Input: t.call, Call: t.called, Output: &a, Return: t.returned,
			})
		}
	}
	for _, part := range byRuntime(h.operations) {
		h.stats.Overlapping += overlapping(part)
	}
	return h, nil
}

// overlapping counts the operations that began while another was under way.
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
