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

// A write is an operation that writes. It puts a mark, a number from 1 up, into
// each of its parts.
type write struct {
	name  string
	parts []part
	do    func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, mark uint32) error
}

// A part is one thing that a write stores and a load returns.
type part struct {
	name string
	// cycle is how many marks the part can tell apart; 0 means all.
	cycle uint32
	// load returns the mark of the part, 0 if it is absent. It may rely on the part
	// having been at near before.
	load func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, near uint32) (uint32, error)
}

// shows returns what load returns when the part is at mark.
func (p *part) shows(mark uint32) uint32 {
	if p.cycle == 0 || mark == 0 {
		return mark
	}
	return (mark-1)%p.cycle + 1
}

// atLeast returns the lowest mark, from low up, for which load returns shown. If
// there is none, the result is lower than low.
func (p *part) atLeast(shown, low uint32) uint32 {
	if p.cycle == 0 || shown == 0 {
		return shown
	}
	for shown < low {
		shown += p.cycle
	}
	return shown
}

// writes are the five operations that write. No two of them write the same input,
// or receipts of the same run.
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

// marked returns a session document with a mark.
func marked(mark uint32) []byte {
	return document(fmt.Sprintf(`[{"role":"user","content":"%d"}]`, mark))
}

// markID returns an id with a mark.
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
	// mintedPart looks for the last receipt, starting at the sequence of near. No
	// commit has a sequence below its mark minus one.
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

// marks has the mark of each part, by the part's name.
type marks map[string]uint32

// put notes that w has put mark into its parts.
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

// An outcome is a call and its error.
type outcome struct {
	call string
	err  error
}

// allWrites calls every operation that writes, with valid arguments.
func (tr *trial) allWrites(id store.RuntimeID, ctx context.Context) []outcome {
	var outcomes []outcome
	for i, w := range writes() {
		outcomes = append(outcomes, outcome{w.name, w.do(ctx, tr.store, id, uint32(3+i))})
	}
	return outcomes
}

// allBadWrites calls every operation that writes, with invalid arguments.
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

// allReads calls every operation that reads.
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

// allCalls calls every operation.
func (tr *trial) allCalls(id store.RuntimeID, ctx context.Context) []outcome {
	return append(tr.allWrites(id, ctx), tr.allReads(id, ctx)...)
}

// reasons are the errors that tell a caller why a call was refused.
var reasons = []error{
	context.Canceled, context.DeadlineExceeded, store.ErrClosed, store.ErrFailed,
	store.ErrInvalidSnapshot, store.ErrInvalidValue, store.ErrSequenceExhausted, store.ErrConflict,
	store.ErrSessionKeyMismatch, store.ErrNoVersion, store.ErrLimit, store.ErrNotEmpty,
	store.ErrKeyTaken, store.ErrDeleted, store.ErrCursorExpired,
}

// mistaken returns an error unless err is want, and no other of the reasons.
func mistaken(err, want error) error {
	if err == nil {
		return fmt.Errorf("not refused; it must be refused with %q", want)
	}
	for _, reason := range reasons {
		if is := errors.Is(err, reason); is != (reason == want) {
			return fmt.Errorf("errors.Is(err, %q) is %v; the error must be %q and no other, and is: %w", reason, is, want, err)
		}
	}
	return nil
}

// refused checks that a call was refused with want and with no other of the reasons.
func (tr *trial) refused(call string, err, want error) {
	tr.Helper()
	if wrong := mistaken(err, want); wrong != nil {
		tr.Errorf("%s: %v", call, wrong)
	}
}

// allRefused checks that each of the calls was refused with want.
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
