package lincheck

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A source makes the choices of a program. It returns a number from 0 to n-1; smaller
// numbers make simpler programs.
type source func(what string, n int) int

// A generator makes calls. Their writes have marks that no other write of the history
// has.
type generator struct {
	pick     source
	runtimes int
	mark     int
	abilities
	queue   state.Queue     // of the store, if it has claims
	revives bool            // runtimes that were deleted can be brought back
	spans   bool            // whether a batch may be on more than one runtime
	known   store.RuntimeID // of which the caller has loaded a view last
	loads   bool            // the next call is one
}

const (
	inputIDs   = 12 // how many there are
	runIDs     = 4
	sharedKeys = 6
)

// weights say how often each operation is called.
var weights = []struct {
	kind  ops.Kind
	share int
}{
	{ops.KindPersistRuntimeState, 8},
	{ops.KindLoadRuntimeState, 6},
	{ops.KindPersistInputState, 14},
	{ops.KindLoadInputState, 12},
	{ops.KindLoadInputStates, 12},
	{ops.KindLoadInput, 8},
	{ops.KindLoadSessionSnapshot, 8},
	{ops.KindLoadBoundaryReceipt, 10},
	{ops.KindAtomicLifecycleCommit, 8},
	{ops.KindAtomicApply, 8},
	{ops.KindCommitSessionBoundary, 14},
	{ops.KindCommit, 14},
	{ops.KindLoadView, 12},
	{ops.KindLoadSession, 6},
	{ops.KindLoadSessionAt, 8},
	{ops.KindFork, 12},
	{ops.KindListRuntimes, 8},
	{ops.KindDeleteRuntime, 2},
	{ops.KindClaimNext, 16},
}

// call makes the next call.
func (g *generator) call() *call {
	g.mark++
	c := &call{kind: g.kind()}
	switch {
	case c.kind == ops.KindListRuntimes:
		return c
	case c.kind == ops.KindClaimNext:
		g.claim(c)
		return c
	case c.kind.ReadOnly():
		c.runtime = g.runtime(5)
	default:
		c.runtime = g.runtime(30)
	}
	switch c.kind {
	case ops.KindPersistRuntimeState:
		g.persistRuntimeState(c)
	case ops.KindPersistInputState:
		g.persistInputState(c)
	case ops.KindAtomicLifecycleCommit:
		g.lifecycleCommit(c)
	case ops.KindAtomicApply:
		g.apply(c)
	case ops.KindCommitSessionBoundary:
		g.commit(c)
	case ops.KindCommit:
		if g.claims && g.pick("end a turn", 2) == 1 {
			g.endTurn(c)
		} else {
			g.batch(c)
		}
	case ops.KindLoadView:
		c.by, g.known = g.way(), c.runtime
	case ops.KindLoadSession:
		c.key = g.sessionKey(c.runtime)
	case ops.KindLoadSessionAt:
		g.numbered(c)
	case ops.KindFork:
		g.fork(c)
	case ops.KindDeleteRuntime:
		c.args = batch.DeleteRuntime{RuntimeID: c.runtime}
	case ops.KindLoadInputState:
		c.input = g.input()
	case ops.KindLoadInput:
		if c.input = g.input(); g.pick("by its key", 2) == 1 {
			c.named = g.sharedKey()
		}
	case ops.KindLoadBoundaryReceipt:
		c.receipt = receipt{run: g.run(), sequence: g.sequence()}
	}
	if c.flaw != nil { // the model needs nothing else
		c.status, c.session, c.appends, c.receipt, c.inputs, c.key = "", nil, false, receipt{}, nil, store.SessionID{}
	}
	return c
}

func (g *generator) kind() ops.Kind {
	total := 0
	for _, w := range weights {
		if g.makes(w.kind) {
			total += w.share
		}
	}
	n := g.pick("operation", total)
	for _, w := range weights {
		if !g.makes(w.kind) {
			continue
		}
		if n < w.share {
			return w.kind
		}
		n -= w.share
	}
	panic("lincheck: a source picked out of range")
}

// makes reports whether the next call may be one of a kind.
func (g *generator) makes(kind ops.Kind) bool {
	return g.offers(kind) && (!g.loads || kind.ReadOnly())
}

func (a abilities) offers(kind ops.Kind) bool {
	switch kind {
	case ops.KindCommit:
		return a.commits
	case ops.KindLoadView:
		return a.views || a.reads
	case ops.KindLoadInput:
		return a.fences
	case ops.KindLoadSession:
		return a.files
	case ops.KindLoadSessionAt:
		return a.history
	case ops.KindFork:
		return a.forks
	case ops.KindListRuntimes:
		return a.lists
	case ops.KindDeleteRuntime:
		return a.deletes
	case ops.KindClaimNext:
		return a.claims
	}
	return true
}

// way is mostly a reader, if there are any.
func (g *generator) way() way {
	switch {
	case !g.reads:
		return byStore
	case !g.views:
		return bySharedOne + way(g.pick("reader", 2))
	}
	return []way{byStore, bySharedOne, bySharedOne, byOwnOne, byOwnOne}[g.pick("way", 5)]
}

// seldom is true once in n times.
func (g *generator) seldom(what string, n int) bool { return g.pick(what, n) == n-1 }

// flawed is true for a write that the store must refuse.
func (g *generator) flawed() bool { return g.seldom("flawed", 25) }

// unknown is not a value of any enum.
const unknown = "unknown"

func runtimeID(n int) store.RuntimeID { return store.RuntimeID(fmt.Sprintf("runtime-%d", n)) }

func (g *generator) input() store.InputID {
	return store.InputID{15: byte(g.pick("input", inputIDs) + 1)}
}

func (g *generator) run() store.RunID { return runID(g.pick("run", runIDs)) }

func runID(n int) store.RunID { return store.RunID{15: byte(n + 1)} }

// sequence is mostly one that runs reach, and seldom one of the last two.
func (g *generator) sequence() uint64 {
	const usual = 24
	n := uint64(g.pick("sequence", usual+2))
	if n >= usual {
		return math.MaxUint64 - (n - usual)
	}
	return n
}

// text returns a text with the call's mark.
func (g *generator) text(part int) string { return fmt.Sprintf("mark-%d.%d", g.mark, part) }

var runtimeStates = []store.RuntimeState{
	store.RuntimeIdle, store.RuntimeRunning, store.RuntimeInitializing, store.RuntimeRecovering,
	store.RuntimeRetired, store.RuntimeStopped, store.RuntimeDestroyed,
}

func (g *generator) runtimeState() store.RuntimeState {
	return runtimeStates[g.pick("runtime state", len(runtimeStates))]
}

var boundaries = []store.RunApplyBoundary{store.RunStart, store.Immediate, store.RunCheckpoint}

func (g *generator) boundary() store.RunApplyBoundary {
	return boundaries[g.pick("boundary", len(boundaries))]
}

func (g *generator) contributing() []store.InputID {
	ids := make([]store.InputID, g.pick("contributing inputs", 3))
	for i := range ids {
		ids[i] = g.input()
	}
	return ids
}

func (g *generator) persistRuntimeState(c *call) {
	state := g.runtimeState()
	if g.flawed() {
		state, c.flaw = unknown, store.ErrInvalidValue
	}
	c.args, c.status = state, string(state)
}

func (g *generator) persistInputState(c *call) {
	state := g.inputState(0)
	if g.flawed() {
		state.CurrentState, c.flaw = unknown, store.ErrInvalidValue
	}
	c.args, c.inputs = state, []input{inputOf(state)}
}

func (g *generator) lifecycleCommit(c *call) {
	commit := store.LifecycleCommit{RuntimeState: g.runtimeState(), InputStates: g.updates(c)}
	g.guard(c)
	c.args, c.status, c.inputs = commit, string(commit.RuntimeState), inputsOf(commit.InputStates)
}

func (g *generator) apply(c *call) {
	apply := store.BoundaryApply{Receipt: g.receipt(), InputUpdates: g.updates(c)}
	if g.pick("with a session", 2) == 1 {
		if g.files && g.pick("filed", 2) == 1 {
			c.key = g.sessionKey(c.runtime)
			apply.SessionStoreKey = new(c.key)
		}
		apply.Session = new(g.change(c, apply.SessionStoreKey != nil))
	}
	g.guard(c)
	c.args, c.receipt, c.inputs = apply, receiptOf(apply.Receipt), inputsOf(apply.InputUpdates)
}

// sessionKey returns one of a runtime's two keys. They are no document's id. No other runtime
// uses them, because a history is checked runtime by runtime.
func (g *generator) sessionKey(id store.RuntimeID) store.SessionID {
	return store.SessionID{14: id[len(id)-1], 15: byte(g.pick("session key", 2) + 1)}
}

// receipt returns a receipt that the caller made itself.
func (g *generator) receipt() store.RunBoundaryReceipt {
	return store.RunBoundaryReceipt{
		RunID:                g.run(),
		Boundary:             g.boundary(),
		ContributingInputIDs: g.contributing(),
		ConversationDigest:   new(g.text(0)),
		MessageCount:         uint64(g.mark),
		Sequence:             g.sequence(),
	}
}

func (g *generator) commit(c *call) {
	commit := store.BoundaryCommit{
		RunID:                g.run(),
		Boundary:             g.boundary(),
		ContributingInputIDs: g.contributing(),
		InputUpdates:         g.updates(c),
	}
	if g.growsNext(c.runtime) {
		commit.Session = g.growing(c)
	} else {
		commit.Session = g.meerkat(c, true, true)
	}
	g.guard(c)
	c.args, c.inputs = commit, inputsOf(commit.InputUpdates)
	c.receipt = receiptOf(store.RunBoundaryReceipt{
		RunID:                commit.RunID,
		Boundary:             commit.Boundary,
		ContributingInputIDs: commit.ContributingInputIDs,
	})
}

// updates returns up to three input states, seldom up to forty. The last one may be
// flawed.
func (g *generator) updates(c *call) []store.InputState {
	n := g.pick("updates", 4)
	if g.seldom("many updates", 40) {
		n = g.pick("how many", 41)
	}
	states := make([]store.InputState, n)
	for i := range states {
		states[i] = g.inputState(i)
	}
	if len(states) > 0 && g.flawed() {
		states[len(states)-1].CurrentState, c.flaw = unknown, store.ErrInvalidValue
	}
	return states
}

var inputStates = []store.InputLifecycleState{
	store.InputAccepted, store.InputQueued, store.InputStaged, store.InputApplied,
	store.InputAppliedPendingConsumption, store.InputConsumed,
}

func (g *generator) inputState(part int) store.InputState {
	state := store.NewInputState(g.input(), store.TimeOf(time.Unix(int64(g.mark), 0)))
	state.CurrentState = inputStates[g.pick("input state", len(inputStates))]
	if n := len(g.queue.Ready); g.claims && g.pick("waits", 3) > 0 {
		state.CurrentState = g.queue.Ready[g.pick("ready", n)]
	}
	state.IdempotencyKey = new(g.text(part))
	if g.pick("key", 3) == 2 {
		state.IdempotencyKey = new(g.sharedKey())
		state.PersistedInput, _ = json.Marshal(g.text(part)) // the mark
	}
	if g.seldom("rich", 4) {
		g.enrich(&state, part)
	}
	return state
}

// sharedKey returns one of the few keys that inputs have in common.
func (g *generator) sharedKey() string {
	return fmt.Sprintf("key-%d", g.pick("shared key", sharedKeys))
}

// enrich sets the fields that are structs, lists or pointers.
func (g *generator) enrich(state *store.InputState, part int) {
	state.AttemptCount = uint32(g.mark)
	state.Durability = store.Durable
	state.History = []store.HistoryEntry{
		{Timestamp: state.CreatedAt, From: store.InputAccepted, To: state.CurrentState, Reason: new(g.text(part))},
	}
	state.ReconstructionSource = &store.ReconstructionSource{Type: store.SourceCoalescing, SourceInputIDs: []store.InputID{g.input()}}
	state.PersistedInput, _ = json.Marshal(map[string]string{"text": g.text(part)})
	state.LastRunID = new(g.run())
	state.LastBoundarySequence = new(g.sequence())
}
