package measure

import (
	"context"
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// An Operation is an operation to measure, on a runtime that [Operation.Fill] has filled.
type Operation struct {
	Name   string
	Inputs int // in the runtime
	// Call makes the i-th call on this runtime.
	Call func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error
}

// Operations returns the ten operations, some of them in several sizes. What they store
// replaces what is there, except that boundary commits mint receipts.
func Operations() []Operation {
	return append(loads(), writes()...)
}

func loads() []Operation {
	inputStates := func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ int) error {
		_, err := s.LoadInputStates(ctx, id)
		return err
	}
	return []Operation{
		{"load_runtime_state", 10, func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ int) error {
			_, _, err := s.LoadRuntimeState(ctx, id)
			return err
		}},
		{"load_input_state", 10, func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ int) error {
			_, _, err := s.LoadInputState(ctx, id, inputID(1))
			return err
		}},
		{"load_input_state_miss", 10, func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ int) error {
			_, _, err := s.LoadInputState(ctx, id, inputID(-1))
			return err
		}},
		{"load_input_states_10", 10, inputStates},
		{"load_input_states_1000", 1000, inputStates},
		{"load_boundary_receipt", 10, func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ int) error {
			_, _, err := s.LoadBoundaryReceipt(ctx, id, store.RunID{}, 0)
			return err
		}},
		{"load_session_snapshot_1KB", 10, func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ int) error {
			_, _, err := s.LoadSessionSnapshot(ctx, id)
			return err
		}},
	}
}

func writes() []Operation {
	input := store.NewInputState(inputID(1), store.Time{})
	inputs := []store.InputState{input}
	apply := store.BoundaryApply{
		Receipt:      store.RunBoundaryReceipt{Boundary: store.RunStart, ContributingInputIDs: []store.InputID{input.InputID}},
		InputUpdates: inputs,
	}
	return []Operation{
		{"persist_runtime_state", 10, func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ int) error {
			return s.PersistRuntimeState(ctx, id, store.RuntimeIdle)
		}},
		{"persist_input_state", 10, func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ int) error {
			return s.PersistInputState(ctx, id, input)
		}},
		{"atomic_apply", 10, func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ int) error {
			return s.AtomicApply(ctx, id, apply)
		}},
		{"atomic_lifecycle_commit", 10, func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, _ int) error {
			return s.AtomicLifecycleCommit(ctx, id, store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: inputs})
		}},
		{"commit_session_boundary_1KB", 10, boundary(1<<10, inputs)},
		{"commit_session_boundary_10KB", 10, boundary(10<<10, inputs)},
	}
}

// boundary commits two sessions in turn, beginning with the one that Fill does not store.
func boundary(size int, inputs []store.InputState) func(context.Context, store.RuntimeStore, store.RuntimeID, int) error {
	var commits [2]store.BoundaryCommit
	for i, session := range Sessions(size) {
		commits[i] = store.BoundaryCommit{
			Session:  store.SessionDelta{SessionSnapshot: session},
			Boundary: store.RunStart, ContributingInputIDs: []store.InputID{inputs[0].InputID}, InputUpdates: inputs,
		}
	}
	return func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, i int) error {
		_, err := s.CommitSessionBoundary(ctx, id, commits[(i+1)%2])
		return err
	}
}

// Fill stores a state, a receipt, a session of 1 KB and op.Inputs inputs in a runtime.
func (op Operation) Fill(ctx context.Context, s store.RuntimeStore, id store.RuntimeID) error {
	if err := s.PersistRuntimeState(ctx, id, store.RuntimeIdle); err != nil {
		return fmt.Errorf("filling it: %w", err)
	}
	if err := commit(ctx, s, id, Session(1<<10)); err != nil {
		return fmt.Errorf("filling it: %w", err)
	}
	for i := range op.Inputs {
		if err := s.PersistInputState(ctx, id, store.NewInputState(inputID(i), store.Time{})); err != nil {
			return fmt.Errorf("filling it: %w", err)
		}
	}
	return nil
}

// inputID returns the id of the i-th input.
func inputID(i int) (id store.InputID) {
	for at := range 8 {
		id[at] = byte(i >> (8 * at))
	}
	return id
}

// commit commits a session at a checkpoint of the run with the nil id.
func commit(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, session []byte) error {
	return commitDelta(ctx, s, id, store.SessionDelta{SessionSnapshot: session})
}

func commitDelta(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, d store.SessionDelta) error {
	_, err := s.CommitSessionBoundary(ctx, id, store.BoundaryCommit{Session: d, Boundary: store.RunCheckpoint})
	return err
}

func operationCells() (cells []cell) {
	for _, op := range Operations() {
		cells = append(cells, forCallers("operation="+op.Name, callerCounts, func(ctx context.Context, b *bench) error {
			if err := b.open(); err != nil {
				return err
			}
			ids := runtimeIDs(b.callers)
			for _, id := range ids {
				if err := op.Fill(ctx, b.store, id); err != nil {
					return err
				}
			}
			b.call = func(ctx context.Context, caller, i int) error { return op.Call(ctx, b.store, ids[caller], i) }
			return nil
		})...)
	}
	return cells
}
