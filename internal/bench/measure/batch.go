package measure

import (
	"context"
	"fmt"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

const batchSize = 64

// batchCells store batchSize input states.
func batchCells() []cell {
	return []cell{{name: fmt.Sprintf("batch/writes=%d", batchSize), callers: 1, setUp: setUpBatch}}
}

func setUpBatch(_ context.Context, b *bench) error {
	const id = store.RuntimeID("runtime")
	if err := b.open(); err != nil {
		return err
	}
	states := make([]store.InputState, batchSize)
	all := batch.Batch{Then: make([]batch.Write, batchSize)}
	for i := range states {
		states[i] = store.NewInputState(inputID(i), store.Time{})
		all.Then[i] = batch.PutInputState{RuntimeID: id, State: states[i]}
	}
	if committer, ok := b.store.(batch.Committer); ok {
		b.how = "by Commit"
		b.call = func(ctx context.Context, _, _ int) error {
			_, err := committer.Commit(ctx, all)
			return err
		}
		return nil
	}
	b.how = "one call after another"
	b.call = func(ctx context.Context, _, _ int) error {
		for _, state := range states {
			if err := b.store.PersistInputState(ctx, id, state); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}
