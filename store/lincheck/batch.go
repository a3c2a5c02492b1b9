package lincheck

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
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

// forStore returns the batch as the store takes it.
func (b *batched) forStore() (all batch.Batch) {
	all.If = forStore(b.conditions)
	for _, w := range b.writes {
		all.Then = append(all.Then, w.asWrite())
	}
	return all
}

func (c *call) asWrite() batch.Write {
	switch args := c.args.(type) {
	case store.BoundaryCommit:
		args.If = forStore(c.conditions)
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
	if g.revives && g.seldom("revival", 3) {
		w.args = batch.ReviveRuntime{RuntimeID: id}
		return w
	}
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

// A memory is what a caller has learned of each runtime from its own calls.
type memory map[store.RuntimeID]facts

type facts struct {
	version     uint64
	number      uint64 // of the session's last version
	digest, key string
	inputs      map[store.InputID]uint64 // their versions
	claimed     state.Claimed            // of the id claims
}

// recall fills what the caller knows into a call's conditions and numbers.
func (m memory) recall(c *call) {
	m.recallNumber(c)
	m.recallClaim(c)
	m.recallConditions(c.conditions)
	if c.batch == nil {
		return
	}
	m.recallConditions(c.batch.conditions)
	for _, w := range c.batch.writes {
		m.recallNumber(w)
		m.recallConditions(w.conditions)
	}
}

func (m memory) recallConditions(conditions []condition) {
	for i := range conditions {
		at := &conditions[i]
		if !at.recalled {
			continue
		}
		known := m[at.runtime]
		switch at.Condition.(type) {
		case batch.VersionIs:
			at.Condition = batch.VersionIs{RuntimeID: at.runtime, Version: known.version}
		case batch.InputVersionIs:
			if len(known.inputs) > 0 {
				ids := slices.SortedFunc(maps.Keys(known.inputs), func(a, b store.InputID) int { return bytes.Compare(a[:], b[:]) })
				id := ids[at.nth%len(ids)]
				at.Condition = batch.InputVersionIs{RuntimeID: at.runtime, InputID: id, Version: known.inputs[id]}
			}
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
	if t.reply.fence > 0 {
		know(cmp.Or(t.reply.claimed.RuntimeID, t.call.runtime), func(f *facts) { f.learnInput(t.reply.inputs[0].InputID, t.reply.fence) })
	}
	if t.call.kind == ops.KindClaimNext {
		know(claims, func(f *facts) { f.claimed = t.reply.claimed })
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
			for _, in := range w.inputs {
				f.learnInput(in.id, f.version)
			}
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
	for in := range v.Inputs() {
		f.learnInput(in.State.InputID, in.Version)
		if key := in.State.IdempotencyKey; key != nil {
			f.key = *key
		}
	}
	return f
}

func (f *facts) learnInput(id store.InputID, version uint64) {
	if f.inputs == nil {
		f.inputs = make(map[store.InputID]uint64)
	}
	f.inputs[id] = version
}
