package demo

import (
	"context"
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// restart forgets everything and finds it again in the store: the last stamp names
// the last boundary, and what is not consumed is pending. So an agent continues in
// the turn in which it stopped, or with the next one, even in another process.
func (a *agent) restart(ctx context.Context, c *caller) error {
	a.run, a.sequence, a.pending = store.RunID{}, 0, nil
	a.conversation = conversation{document: a.conversation.document}

	state, _, err := c.LoadRuntimeState(ctx, a.id)
	if err != nil {
		return err
	}
	inputs, err := c.LoadInputStates(ctx, a.id)
	if err != nil {
		return err
	}
	a.account.restarted(state, inputs)
	if err := a.enter(ctx, c, store.RuntimeRecovering); err != nil {
		return err
	}
	for _, input := range inputs {
		if input.LastRunID != nil && input.LastBoundarySequence != nil {
			a.run, a.sequence = *input.LastRunID, *input.LastBoundarySequence
		}
		if !input.CurrentState.IsTerminal() {
			input.RecoveryCount++
			if err := a.persist(ctx, c, input); err != nil {
				return err
			}
			a.pending = append(a.pending, input)
		}
	}
	if err := a.loadConversation(ctx, c); err != nil {
		return err
	}
	if a.turn%turnsPerRun == 0 && !a.applied { // its run has no boundary yet
		return a.enter(ctx, c, store.RuntimeIdle)
	}
	return a.enter(ctx, c, store.RuntimeRunning)
}

// loadConversation loads it from the store, if it has begun.
func (a *agent) loadConversation(ctx context.Context, c *caller) error {
	if a.anew || a.run == (store.RunID{}) {
		return nil
	}
	receipt, ok, err := c.LoadBoundaryReceipt(ctx, a.id, a.run, a.sequence)
	if err != nil {
		return err
	}
	snapshot, held, err := c.LoadSessionSnapshot(ctx, a.id)
	if err != nil {
		return err
	}
	if !ok || !held {
		return fmt.Errorf("%s: the store has no receipt %d of run %s, or no snapshot", a.id, a.sequence, a.run)
	}
	if err := a.conversation.resume(snapshot, receipt); err != nil {
		return fmt.Errorf("%s: %w", a.id, err)
	}
	return nil
}
