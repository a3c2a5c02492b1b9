package lincheck

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A call is one call of an operation: its arguments as the store takes them, and as
// the model does.
type call struct {
	kind    ops.Kind
	runtime store.RuntimeID
	args    any // of a write: a commit or a value of package store; nil for a load

	flaw    error         // with which the store must refuse the arguments, nil if they are valid
	status  string        // the runtime state to store
	session *session      // the session to store
	appends bool          // it is added to the one that stands
	receipt receipt       // to store, without a minted sequence; of a load, only its key
	inputs  []input       // to store, in order
	input   store.InputID // to load, or to delete
	named   string        // if not empty, the key of the input to load
	batch   *batched      // to commit

	conditions []condition // of a commit

	by  way             // to get a view
	key store.SessionID // to file a session under, or to load it; zero if there is none

	number uint64          // of a version of the session
	near   int             // if not 0, number is filled in when the call is made: see recallNumber
	to     store.RuntimeID // to fork to
	export *export         // to import

	claim    store.Claim
	endsTurn bool // of what was claimed last: see recallClaim
}

// A reply is what a call returned, in the store's terms.
type reply struct {
	found   bool
	text    string
	receipt *store.RunBoundaryReceipt
	inputs  []store.InputState
	nilList bool // the list is nil, which it must not be
	fence   uint64
	session session
	batch   batch.Result
	view    *state.View
	list    []summary
	claimed state.Claimed
}

// perform makes the call.
func (c *call) perform(ctx context.Context, to access) (r reply, err error) {
	switch c.kind {
	case ops.KindCommit:
		return to.commit(ctx, c.batch)
	case ops.KindLoadView:
		return to.view(ctx, c.runtime, c.by)
	case ops.KindLoadSession:
		filed, ok, err := to.store.(sessionLoader).LoadSession(ctx, c.key)
		return reply{found: ok, session: sessionOf(filed)}, err
	case ops.KindLoadSessionAt:
		at, ok, err := to.store.(state.Historian).LoadSessionAt(ctx, c.runtime, c.number)
		return reply{found: ok, session: sessionOf(at)}, err
	case ops.KindFork:
		return reply{}, to.store.(state.Historian).Fork(ctx, c.runtime, c.number, c.to)
	case ops.KindListRuntimes:
		return to.list(ctx)
	case ops.KindDeleteRuntime:
		gone, err := to.store.(deleter).DeleteRuntime(ctx, c.runtime)
		return reply{list: []summary{summaryOf(gone.Totals)}}, err
	case ops.KindImport:
		return to.importOf(ctx, c.export)
	case ops.KindClaimNext:
		return to.claim(ctx, c.claim)
	}
	s := to.store
	switch args := c.args.(type) {
	case store.BoundaryCommit:
		args.If = forStore(c.conditions)
		var minted store.RunBoundaryReceipt
		minted, err = s.CommitSessionBoundary(ctx, c.runtime, args)
		return reply{receipt: &minted}, err
	case store.BoundaryApply:
		args.If = forStore(c.conditions)
		return reply{}, s.AtomicApply(ctx, c.runtime, args)
	case store.LifecycleCommit:
		args.If = forStore(c.conditions)
		return reply{}, s.AtomicLifecycleCommit(ctx, c.runtime, args)
	case store.InputState:
		return reply{}, s.PersistInputState(ctx, c.runtime, args)
	case store.RuntimeState:
		return reply{}, s.PersistRuntimeState(ctx, c.runtime, args)
	}
	return c.load(ctx, s)
}

func (c *call) load(ctx context.Context, s store.RuntimeStore) (r reply, err error) {
	switch c.kind {
	case ops.KindLoadInputStates:
		r.inputs, err = s.LoadInputStates(ctx, c.runtime)
		r.nilList = r.inputs == nil
	case ops.KindLoadInputState:
		var one store.InputState
		if one, r.found, err = s.LoadInputState(ctx, c.runtime, c.input); r.found {
			r.inputs = []store.InputState{one}
		}
	case ops.KindLoadInput:
		return c.loadInput(ctx, s.(state.InputLoader))
	case ops.KindLoadBoundaryReceipt:
		var one store.RunBoundaryReceipt
		if one, r.found, err = s.LoadBoundaryReceipt(ctx, c.runtime, c.receipt.run, c.receipt.sequence); r.found {
			r.receipt = &one
		}
	case ops.KindLoadSessionSnapshot:
		var snapshot []byte
		snapshot, r.found, err = s.LoadSessionSnapshot(ctx, c.runtime)
		r.text = string(snapshot)
	case ops.KindLoadRuntimeState:
		var state store.RuntimeState
		state, r.found, err = s.LoadRuntimeState(ctx, c.runtime)
		r.text = string(state)
	default:
		panic(fmt.Sprintf("lincheck: %v has no such arguments: %T", c.kind, c.args))
	}
	return r, err
}

func (c *call) loadInput(ctx context.Context, s state.InputLoader) (r reply, err error) {
	var in state.Input
	if c.named == "" {
		in, r.found, err = s.LoadInput(ctx, c.runtime, c.input)
	} else {
		in, r.found, err = s.LoadInputByKey(ctx, c.runtime, c.named)
	}
	if r.found {
		r.inputs, r.fence = []store.InputState{in.State}, in.Version
	}
	return r, err
}

// An answer is what a call returned, or should have returned, in the model's terms.
type answer struct {
	refusal error // nil, or one of the refusals
	found   bool
	text    string
	receipt receipt
	inputs  []input
	nilList bool // as in reply
	session session

	claimed store.RuntimeID // whose input was claimed
	waits   bool            // there is nothing to claim yet; no answer shows it

	stored   *session // that the model stores; no answer shows it
	view     *model
	list     []summary // of runtimes in their order, or of all that was imported or deleted
	receipts []receipt // that a batch minted
	revision uint64    // of a batch
	fence    uint64    // the version of an input

	at        int    // the index of the write for which a batch was refused, 0 if it was not for one
	ofWrite   bool   // it was for one
	condition int    // the index of the condition that did not hold
	version   uint64 // of the runtime of that condition
	taken     keyTaken
}

// refusals are the errors with which a store may refuse a call.
var refusals = []error{store.ErrInvalidSnapshot, store.ErrInvalidValue, store.ErrSequenceExhausted, store.ErrConflict, store.ErrNoVersion, store.ErrNotEmpty, store.ErrKeyTaken, store.ErrDeleted}

// answerOf turns what a call returned into an answer. Its error is one that no call
// here should get.
func answerOf(r reply, err error) (answer, error) {
	if err != nil {
		for _, refusal := range refusals {
			if errors.Is(err, refusal) {
				return refused(refusal, err), nil
			}
		}
		return answer{}, err
	}
	a := answer{found: r.found, text: r.text, session: r.session, inputs: inputsOf(r.inputs), nilList: r.nilList, fence: r.fence, list: r.list, claimed: r.claimed.RuntimeID}
	if r.receipt != nil {
		a.receipt = receiptOf(*r.receipt)
	}
	if r.view != nil {
		a.view = stateOf(r.view)
	}
	a.revision = r.batch.Revision
	for _, one := range r.batch.Receipts {
		a.receipts = append(a.receipts, receiptOf(one))
	}
	return a, nil
}

func refused(refusal, err error) answer {
	a := answer{refusal: refusal}
	if write, ok := errors.AsType[*batch.WriteError](err); ok {
		a.at, a.ofWrite = write.Index, true
	}
	if e, ok := errors.AsType[*store.KeyError](err); ok {
		a.taken = keyTaken{e.RuntimeID, e.InputID, e.There}
	}
	if conflict, ok := errors.AsType[*batch.ConflictError](err); ok {
		a.condition, a.version = conflict.Index, conflict.Version
	}
	return a
}

func (a *answer) equal(b *answer) bool {
	return a.refusal == b.refusal && a.found == b.found && a.text == b.text && a.session == b.session &&
		a.receipt == b.receipt && a.nilList == b.nilList && slices.Equal(a.inputs, b.inputs) &&
		a.claimed == b.claimed && a.waits == b.waits && a.fence == b.fence && a.at == b.at && a.ofWrite == b.ofWrite && a.condition == b.condition && a.taken == b.taken && a.version == b.version && a.revision == b.revision && slices.Equal(a.receipts, b.receipts) && slices.Equal(a.list, b.list) &&
		(a.view == nil) == (b.view == nil) && (a.view == nil || a.view.shows(b.view))
}
