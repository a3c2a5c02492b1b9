package lincheck

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A batched is the argument of Commit. Its writes are calls too, because most of them do
// what an operation does.
type batched struct {
	conditions []condition
	writes     []*call
}

// A condition is one of package batch, with its runtime.
type condition struct {
	batch.Condition
	runtime  store.RuntimeID
	recalled bool // its value is what the caller knows when it makes the call
}

// forStore returns the batch as the store takes it.
func (b *batched) forStore() (all batch.Batch) {
	for _, c := range b.conditions {
		all.If = append(all.If, c.Condition)
	}
	for _, w := range b.writes {
		all.Then = append(all.Then, w.asWrite())
	}
	return all
}

func (c *call) asWrite() batch.Write {
	switch args := c.args.(type) {
	case store.BoundaryCommit:
		return batch.CommitBoundary{RuntimeID: c.runtime, Commit: args}
	case store.BoundaryApply:
		return batch.PutReceipt{RuntimeID: c.runtime, Receipt: args.Receipt}
	case store.InputState:
		return batch.PutInputState{RuntimeID: c.runtime, State: args}
	case store.RuntimeState:
		return batch.PutRuntimeState{RuntimeID: c.runtime, State: args}
	case batch.Write:
		return args
	}
	panic(fmt.Sprintf("lincheck: %T is no write of a batch", c.args))
}

// batch makes a batch on c's runtime, or on any runtimes if the program spans them. At
// times its last write must be refused, unless one before it is.
func (g *generator) batch(c *call) {
	c.batch = new(batched)
	if g.spans {
		c.runtime = ""
	} else if g.pick("the runtime known best", 2) == 1 && g.known != "" {
		c.runtime = g.known
	}
	for range g.pick("conditions", 3) {
		c.batch.conditions = append(c.batch.conditions, g.condition(c))
	}
	for range g.pick("writes", 6) {
		c.batch.writes = append(c.batch.writes, g.write(g.place(c)))
	}
	if n := len(c.batch.writes); n >= 2 && g.seldom("exhausted", 8) {
		c.batch.writes = append(c.batch.writes[:n-2], g.exhausting(g.place(c))...)
	}
}

// place returns a runtime for one part of a batch.
func (g *generator) place(c *call) store.RuntimeID {
	if g.spans {
		return g.runtime(30)
	}
	return c.runtime
}

// write makes one write, with a mark of its own.
func (g *generator) write(id store.RuntimeID) *call {
	g.mark++
	w := &call{kind: ops.KindCommit, runtime: id}
	switch g.pick("write", 18) {
	case 0, 1, 2:
		g.persistInputState(w)
	case 3, 4:
		input := g.input()
		w.args, w.input = batch.DeleteInputState{RuntimeID: id, InputID: input}, input
	case 5, 6:
		g.putReceipt(w, g.receipt())
	case 7, 8, 9:
		g.putSnapshot(w)
	case 10, 11:
		g.persistRuntimeState(w)
	case 12, 13:
		g.restore(w)
	case 14, 15, 16:
		w.kind = ops.KindCommitSessionBoundary
		g.commit(w)
	default:
		if g.forks && g.pick("of a fork", 2) == 1 {
			w.runtime = g.ofFork()
		}
		w.args = batch.DeleteRuntime{RuntimeID: w.runtime}
	}
	return w
}

func (g *generator) putReceipt(w *call, r store.RunBoundaryReceipt) {
	w.kind = ops.KindAtomicApply
	w.args, w.receipt = store.BoundaryApply{Receipt: r}, receiptOf(r)
}

func (g *generator) putSnapshot(w *call) {
	d := g.change(w, true)
	w.args = batch.PutSnapshot{RuntimeID: w.runtime, Snapshot: d.SessionSnapshot, Format: d.Format, Append: d.Append, Messages: d.Messages}
}

// exhausting returns two writes. The first makes the second exceed the last sequence.
func (g *generator) exhausting(id store.RuntimeID) []*call {
	g.mark++
	full := &call{runtime: id}
	last := &call{kind: ops.KindCommitSessionBoundary, runtime: id}
	g.commit(last)
	r := g.receipt()
	r.RunID, r.Sequence = last.args.(store.BoundaryCommit).RunID, math.MaxUint64
	g.putReceipt(full, r)
	return []*call{full, last}
}

func (g *generator) condition(of *call) condition {
	id := g.place(of)
	if g.spans && g.pick("the runtime known best", 2) == 1 && g.known != "" {
		id = g.known
	}
	c := condition{runtime: id, recalled: g.pick("recalled", 4) > 0}
	switch g.pick("condition", 12) {
	case 0:
		c.Condition = batch.RuntimeExists{RuntimeID: id}
	case 1:
		c.Condition = batch.RuntimeAbsent{RuntimeID: id}
	case 2:
		c.Condition = batch.RuntimeStateIs{RuntimeID: id, AnyOf: some(g, runtimeStates, unknown), OrNone: g.pick("or none", 4) == 1}
	case 3:
		c.Condition = batch.InputStateIs{RuntimeID: id, InputID: g.input(), AnyOf: some(g, inputStates, unknown)}
	case 4:
		c.Condition = batch.InputAbsent{RuntimeID: id, InputID: g.input()}
	case 5:
		c.Condition = batch.ReceiptAbsent{RuntimeID: id, RunID: g.run(), Sequence: g.sequence()}
	case 6:
		c.Condition = batch.KeyFree{RuntimeID: id, Key: g.text(0)}
	case 7, 8:
		c.Condition = batch.SessionDigestIs{RuntimeID: id}
	default:
		c.Condition = batch.VersionIs{RuntimeID: id, Version: uint64(g.pick("version", 20))}
	}
	return c
}

// some returns about half of the values, seldom with an invalid one.
func some[T ~string](g *generator, all []T, flaw T) []T {
	from := g.pick("from", len(all))
	chosen := slices.Clone(all[from:min(len(all), from+1+g.pick("how many", len(all)))])
	if g.flawed() {
		chosen = append(chosen, flaw)
	}
	return chosen
}

// invalid reports whether a store must refuse the condition.
func (c condition) invalid() bool {
	switch c := c.Condition.(type) {
	case batch.RuntimeStateIs:
		return slices.Contains(c.AnyOf, unknown)
	case batch.InputStateIs:
		return slices.Contains(c.AnyOf, unknown)
	}
	return false
}

// A memory is what a caller has learned of each runtime from its own calls.
type memory map[store.RuntimeID]facts

type facts struct {
	version     uint64
	number      uint64 // of the session's last version
	digest, key string
}

// recall fills what the caller knows into a call's conditions and numbers.
func (m memory) recall(c *call) {
	m.recallNumber(c)
	if c.batch == nil {
		return
	}
	for _, w := range c.batch.writes {
		m.recallNumber(w)
	}
	for i := range c.batch.conditions {
		at := &c.batch.conditions[i]
		if !at.recalled {
			continue
		}
		known := m[at.runtime]
		switch at.Condition.(type) {
		case batch.VersionIs:
			at.Condition = batch.VersionIs{RuntimeID: at.runtime, Version: known.version}
		case batch.SessionDigestIs:
			at.Condition = batch.SessionDigestIs{RuntimeID: at.runtime, Digest: known.digest}
		case batch.KeyFree:
			at.Condition = batch.KeyFree{RuntimeID: at.runtime, Key: known.key}
		}
	}
}

// learn notes what a call has shown.
func (m memory) learn(t *turn) {
	know := func(id store.RuntimeID, tell func(*facts)) {
		known := m[id]
		tell(&known)
		m[id] = known
	}
	if conflict, ok := errors.AsType[*batch.ConflictError](t.err); ok {
		know(conflict.RuntimeID, func(f *facts) { f.version = conflict.Version })
	}
	if t.err != nil {
		return
	}
	m.learnNumber(t.call, t.reply.found)
	if v := t.reply.view; v != nil {
		know(t.call.runtime, func(f *facts) { *f = seen(v) })
	}
	if r := t.reply.receipt; r != nil && r.ConversationDigest != nil && t.call.kind == ops.KindCommitSessionBoundary {
		know(t.call.runtime, func(f *facts) { f.digest = *r.ConversationDigest })
	}
	if t.call.batch == nil {
		return
	}
	minted := t.reply.batch.Receipts
	for _, w := range t.call.batch.writes {
		m.learnNumber(w, false)
		know(w.runtime, func(f *facts) {
			f.version = t.reply.batch.Revision
			if w.session != nil && !w.appends {
				f.digest = w.session.digest
			}
			if w.kind == ops.KindCommitSessionBoundary && len(minted) > 0 {
				f.digest, minted = receiptOf(minted[0]).digest, minted[1:]
			}
			if _, deleted := w.args.(batch.DeleteRuntime); deleted {
				*f = facts{}
			}
		})
	}
}

// seen returns the facts that a view shows.
func seen(v *state.View) (f facts) {
	f.version = v.Version()
	for one := range v.Sessions() {
		f.number, f.digest = one.Number, one.Snapshot.Digest()
	}
	for in := range v.InputStates() {
		if in.IdempotencyKey != nil {
			f.key = *in.IdempotencyKey
		}
	}
	return f
}
