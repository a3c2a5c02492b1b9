package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/store"
)

// A write is one of the operations that write. It puts a mark, which is a
// number from 1 up, into each of its parts.
type write struct {
	name  string
	parts []part
	do    func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, mark uint32) error
}

// A part is one thing that a write stores and a load finds.
type part struct {
	name string
	// cycle is how many marks it can tell apart, 0 if all.
	cycle uint32
	// load returns the mark that is there, 0 if the part is absent. It may trust
	// that the part was at near before.
	load func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, near uint32) (uint32, error)
}

// shows is what load returns when mark is there.
func (p *part) shows(mark uint32) uint32 {
	if p.cycle == 0 || mark == 0 {
		return mark
	}
	return (mark-1)%p.cycle + 1
}

// atLeast is the lowest mark from low up for which load returns shown. It is
// lower than low if there is none.
func (p *part) atLeast(shown, low uint32) uint32 {
	if p.cycle == 0 || shown == 0 {
		return shown
	}
	for shown < low {
		shown += p.cycle
	}
	return shown
}

// writes are the five operations that write. Each has an input of its own, and
// both that store a receipt have a run of their own.
func writes() []write {
	return []write{
		{"CommitSessionBoundary", []part{snapshotPart, inputPart(11), inputsPart(11), mintedPart},
			func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, mark uint32) error {
				c := committing(store.RunID{1}, attempted(11, mark))
				c.Session.SessionSnapshot, c.ContributingInputIDs = marked(mark), []store.InputID{markID(mark)}
				_, err := s.CommitSessionBoundary(ctx, id, c)
				return err
			}},
		{"AtomicApply", []part{inputPart(12), receiptPart, inputsPart(12), snapshotPart},
			func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, mark uint32) error {
				a := applying(store.RunID{2}, 2, attempted(12, mark))
				a.Session, a.Receipt.MessageCount = &store.SessionDelta{SessionSnapshot: marked(mark)}, uint64(mark)
				return s.AtomicApply(ctx, id, a)
			}},
		{"PersistInputState", []part{inputPart(13), inputsPart(13)},
			func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, mark uint32) error {
				return s.PersistInputState(ctx, id, attempted(13, mark))
			}},
		{"PersistRuntimeState", []part{statePart},
			func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, mark uint32) error {
				return s.PersistRuntimeState(ctx, id, stateOf(mark))
			}},
		{"AtomicLifecycleCommit", []part{statePart, inputPart(14), inputsPart(14)},
			func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, mark uint32) error {
				return s.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{
					RuntimeState: stateOf(mark), InputStates: []store.InputState{attempted(14, mark)},
				})
			}},
	}
}

// partsOf returns the parts of all writes, each once.
func partsOf(all []write) []part {
	var parts []part
	for _, w := range all {
		for _, p := range w.parts {
			if !slices.ContainsFunc(parts, func(q part) bool { return q.name == p.name }) {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

// marked is a session document with a mark.
func marked(mark uint32) []byte {
	return document(fmt.Sprintf(`[{"role":"user","content":"%d"}]`, mark))
}

// markID is an id with a mark.
func markID(mark uint32) store.InputID {
	return store.InputID{byte(mark >> 24), byte(mark >> 16), byte(mark >> 8), byte(mark)}
}

var runtimeStates = []store.RuntimeState{
	store.RuntimeInitializing, store.RuntimeIdle, store.RuntimeRunning, store.RuntimeRecovering,
	store.RuntimeRetired, store.RuntimeStopped, store.RuntimeDestroyed,
}

func stateOf(mark uint32) store.RuntimeState {
	return runtimeStates[(mark-1)%uint32(len(runtimeStates))]
}

var (
	statePart = part{"the runtime's state", uint32(len(runtimeStates)),
		func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ uint32) (uint32, error) {
			state, _, err := s.LoadRuntimeState(ctx, id)
			return uint32(slices.Index(runtimeStates, state) + 1), err
		}}
	snapshotPart = part{"the snapshot", 0,
		func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ uint32) (uint32, error) {
			snapshot, _, err := s.LoadSessionSnapshot(ctx, id)
			_, text, _ := strings.Cut(string(snapshot), `"content":"`)
			text, _, _ = strings.Cut(text, `"`)
			mark, _ := strconv.ParseUint(text, 10, 32)
			return uint32(mark), err
		}}
	receiptPart = part{"the applied receipt", 0,
		func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ uint32) (uint32, error) {
			receipt, _, err := s.LoadBoundaryReceipt(ctx, id, store.RunID{2}, 2)
			return uint32(receipt.MessageCount), err
		}}
	// mintedPart looks for the last receipt from that of near up, or from the
	// first: no commit has a lower sequence than its mark less one at most.
	mintedPart = part{"the last receipt that was minted", 0,
		func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, near uint32) (mark uint32, err error) {
			sequence := uint64(0)
			if near > 0 {
				sequence = uint64(near - 1)
			}
			for ; ; sequence++ {
				receipt, ok, err := s.LoadBoundaryReceipt(ctx, id, store.RunID{1}, sequence)
				if err != nil || !ok {
					return mark, err
				}
				if len(receipt.ContributingInputIDs) != 1 {
					return 0, fmt.Errorf("receipt %d has %d contributing inputs, not 1", sequence, len(receipt.ContributingInputIDs))
				}
				in := receipt.ContributingInputIDs[0]
				mark = uint32(in[0])<<24 | uint32(in[1])<<16 | uint32(in[2])<<8 | uint32(in[3])
			}
		}}
)

func inputPart(n byte) part {
	return part{fmt.Sprintf("input %d", n), 0,
		func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ uint32) (uint32, error) {
			state, _, err := s.LoadInputState(ctx, id, store.InputID{n})
			return state.AttemptCount, err
		}}
}

func inputsPart(n byte) part {
	return part{fmt.Sprintf("input %d in the list", n), 0,
		func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ uint32) (uint32, error) {
			states, err := s.LoadInputStates(ctx, id)
			for _, state := range states {
				if state.InputID == (store.InputID{n}) {
					return state.AttemptCount, err
				}
			}
			return 0, err
		}}
}

// marks says at which mark each part is, by its name.
type marks map[string]uint32

// put notes that w has put a mark.
func (m marks) put(w write, mark uint32) {
	for _, p := range w.parts {
		m[p.name] = mark
	}
}

// differ returns an error if a part is not at its mark.
func (m marks) differ(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, parts []part) error {
	for _, p := range parts {
		got, err := p.load(ctx, s, id, 0)
		if err != nil {
			return fmt.Errorf("%s of runtime %q: %w", p.name, id, err)
		}
		if want := p.shows(m[p.name]); got != want {
			return fmt.Errorf("%s of runtime %q is at mark %d, not at %d", p.name, id, got, want)
		}
	}
	return nil
}

// An outcome is what became of a call.
type outcome struct {
	call string
	err  error
}

// allWrites does every operation that writes, with arguments that are valid.
func (tr *trial) allWrites(id store.RuntimeID, ctx context.Context) []outcome {
	var outcomes []outcome
	for i, w := range writes() {
		outcomes = append(outcomes, outcome{w.name, w.do(ctx, tr.store, id, uint32(3+i))})
	}
	return outcomes
}

// allBadWrites does every operation that writes, with arguments that are not
// valid.
func (tr *trial) allBadWrites(id store.RuntimeID, ctx context.Context) []outcome {
	_, commit := tr.store.CommitSessionBoundary(ctx, id, store.BoundaryCommit{})
	return []outcome{
		{"CommitSessionBoundary", commit},
		{"AtomicApply", tr.store.AtomicApply(ctx, id, store.BoundaryApply{})},
		{"PersistInputState", tr.store.PersistInputState(ctx, id, store.InputState{})},
		{"PersistRuntimeState", tr.store.PersistRuntimeState(ctx, id, "")},
		{"AtomicLifecycleCommit", tr.store.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{})},
	}
}

// allReads does every operation that reads.
func (tr *trial) allReads(id store.RuntimeID, ctx context.Context) []outcome {
	_, all := tr.store.LoadInputStates(ctx, id)
	_, _, one := tr.store.LoadInputState(ctx, id, store.InputID{1})
	_, _, receipt := tr.store.LoadBoundaryReceipt(ctx, id, store.RunID{1}, 0)
	_, _, snapshot := tr.store.LoadSessionSnapshot(ctx, id)
	_, _, state := tr.store.LoadRuntimeState(ctx, id)
	return []outcome{
		{"LoadInputStates", all}, {"LoadInputState", one}, {"LoadBoundaryReceipt", receipt},
		{"LoadSessionSnapshot", snapshot}, {"LoadRuntimeState", state},
	}
}

// allCalls does every operation.
func (tr *trial) allCalls(id store.RuntimeID, ctx context.Context) []outcome {
	return append(tr.allWrites(id, ctx), tr.allReads(id, ctx)...)
}

// reasons are the errors that tell a caller why a call was refused.
var reasons = []error{
	context.Canceled, context.DeadlineExceeded, store.ErrClosed, store.ErrFailed,
	store.ErrInvalidSnapshot, store.ErrInvalidValue, store.ErrSequenceExhausted, store.ErrConflict,
}

// mistaken returns an error if err is not want, or also another of the reasons.
func mistaken(err, want error) error {
	if err == nil {
		return fmt.Errorf("it was not refused, but must be with %q", want)
	}
	for _, reason := range reasons {
		if is := errors.Is(err, reason); is != (reason == want) {
			return fmt.Errorf("errors.Is(err, %q) is %v; it must be %q and nothing else, and err is: %w", reason, is, want, err)
		}
	}
	return nil
}

// refused checks that a call was refused for want, and for nothing else.
func (tr *trial) refused(call string, err, want error) {
	tr.Helper()
	if wrong := mistaken(err, want); wrong != nil {
		tr.Errorf("%s: %v", call, wrong)
	}
}

// allRefused checks that all of the calls were refused for want.
func (tr *trial) allRefused(outcomes []outcome, want error, when string) {
	tr.Helper()
	for _, o := range outcomes {
		tr.refused(o.call+" "+when, o.err, want)
	}
}

// allDone checks that none of the calls was refused.
func (tr *trial) allDone(outcomes []outcome, when string) {
	tr.Helper()
	for _, o := range outcomes {
		if o.err != nil {
			tr.Errorf("%s %s: %v", o.call, when, o.err)
		}
	}
}
