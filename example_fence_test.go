package loopstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A message is sent twice, and stored once. A worker that was thought dead comes back, and
// is refused. When nobody needs the agent any more it expires, and a late message does not
// bring it back.
func Example_fence() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{
		UniqueKeys: true,
		Retention:  store.Retention{Inputs: store.Keep{Last: 1000}, Keys: store.Keep{For: 24 * time.Hour}},
		Tombstones: store.Keep{For: 24 * time.Hour},
		Activity:   true, // for ExpireIdle
	})
	defer loop.Close()

	// The answer to the first call was lost, so the client calls again.
	for range 2 {
		fmt.Println("enqueue:", outcome(enqueue(ctx, loop, "message-17")))
	}

	slow := claim(ctx, loop, "message-17")
	putBack(ctx, loop, slow) // a supervisor thinks that its worker is dead
	quick := claim(ctx, loop, "message-17")
	fmt.Println("the slow worker:", outcome(finish(ctx, loop, slow)))
	fmt.Println("the quick worker:", outcome(finish(ctx, loop, quick)))

	removed, err := loop.ExpireIdle(ctx, 0, false)
	fmt.Println("expired:", removed.Runtimes, err)
	fmt.Println("enqueue:", outcome(enqueue(ctx, loop, "message-18")))
	// Output:
	// enqueue: done
	// enqueue: sent before
	// the slow worker: not its input any more
	// the quick worker: done
	// expired: 1 <nil>
	// enqueue: the agent is gone
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, store.ErrKeyTaken):
		return "sent before" // the *store.KeyError names the input
	case errors.Is(err, store.ErrConflict):
		return "not its input any more"
	case errors.Is(err, store.ErrDeleted):
		return "the agent is gone"
	}
	panic(err)
}

func enqueue(ctx context.Context, loop *loopstore.Loop, key string) error {
	input := store.NewInputState(store.NewInputID(), now())
	input.CurrentState, input.IdempotencyKey = store.InputQueued, &key
	return loop.PersistInputState(ctx, "agent-1", input)
}

// claim takes the input with a key. Its version is the fence of all that comes of that.
func claim(ctx context.Context, loop *loopstore.Loop, key string) state.Input {
	in, _, err := loop.LoadInputByKey(ctx, "agent-1", key)
	if err != nil {
		panic(err)
	}
	return move(ctx, loop, in, store.InputStaged)
}

func putBack(ctx context.Context, loop *loopstore.Loop, in state.Input) {
	move(ctx, loop, in, store.InputQueued)
}

// move takes an input to another state, if it has not changed since it was looked at.
func move(ctx context.Context, loop *loopstore.Loop, in state.Input, to store.InputLifecycleState) state.Input {
	fence := batch.InputVersionIs{RuntimeID: "agent-1", InputID: in.State.InputID, Version: in.Version}
	if err := in.State.Move(to, now(), ""); err != nil {
		panic(err)
	}
	result, err := loop.Commit(ctx, batch.Batch{
		If:   []batch.Condition{fence},
		Then: []batch.Write{batch.PutInputState{RuntimeID: "agent-1", State: in.State}},
	})
	if err != nil {
		panic(err)
	}
	in.Version = result.Revision
	return in
}

// finish commits the answer to an input, with the input consumed, if it is still the
// worker's.
func finish(ctx context.Context, loop *loopstore.Loop, in state.Input) error {
	fence := batch.InputVersionIs{RuntimeID: "agent-1", InputID: in.State.InputID, Version: in.Version}
	if err := in.State.Move(store.InputConsumed, now(), ""); err != nil {
		panic(err)
	}
	_, err := loop.CommitSessionBoundary(ctx, "agent-1", store.BoundaryCommit{
		If:                   []store.Condition{fence},
		Session:              store.SessionDelta{SessionSnapshot: lines(message{"agent", "Mount Everest."}), Format: store.FormatLines, Append: true},
		RunID:                store.NewRunID(),
		Boundary:             store.RunCheckpoint,
		ContributingInputIDs: []store.InputID{in.State.InputID},
		InputUpdates:         []store.InputState{in.State},
	})
	return err
}

func now() store.Time { return store.TimeOf(time.Now()) }
