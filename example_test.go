package loopstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

const snapshot = `{
	"id": "0195b1c2-0000-7000-8000-000000000001",
	"messages": [
		{"role": "user", "content": "What is the tallest mountain?"},
		{"role": "block_assistant", "blocks": [{"block_type": "text", "data": {"text": "Mount Everest."}}], "stop_reason": "end_turn"}
	],
	"created_at": {"secs_since_epoch": 1773331026, "nanos_since_epoch": 0},
	"updated_at": {"secs_since_epoch": 1773331086, "nanos_since_epoch": 0}
}`

func Example() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()

	input := store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))
	if err := loop.PersistInputState(ctx, "agent-1", input); err != nil {
		panic(err)
	}

	input.CurrentState = store.InputApplied
	receipt, err := loop.CommitSessionBoundary(ctx, "agent-1", store.BoundaryCommit{
		Session:              store.SessionDelta{SessionSnapshot: []byte(snapshot)},
		RunID:                store.NewRunID(),
		Boundary:             store.RunStart,
		ContributingInputIDs: []store.InputID{input.InputID},
		InputUpdates:         []store.InputState{input},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("sequence", receipt.Sequence, "messages", receipt.MessageCount)
	fmt.Println("digest", *receipt.ConversationDigest)

	input, _, err = loop.LoadInputState(ctx, "agent-1", input.InputID)
	fmt.Println(input.CurrentState, "by this run:", *input.LastRunID == receipt.RunID, err)
	// Output:
	// sequence 0 messages 2
	// digest feca760f34c85f2d5ba7fa9d84ee86b12229733d58605f5172e8a7503c2e9ccb
	// applied by this run: true <nil>
}

// Do takes an operation as a value, and gives its answer in its own type.
func ExampleDo() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()

	before, err := loopstore.Do(ctx, loop, ops.LoadRuntimeState{RuntimeID: "agent-1"})
	fmt.Println(before.OK, err)
	_, err = loopstore.Do(ctx, loop, ops.PersistRuntimeState{RuntimeID: "agent-1", State: store.RuntimeIdle})
	fmt.Println(err)
	after, err := loopstore.Do(ctx, loop, ops.LoadRuntimeState{RuntimeID: "agent-1"})
	fmt.Println(after.Value, after.OK, err)
	// Output:
	// false <nil>
	// <nil>
	// idle true <nil>
}

// A call that returns an error changed nothing, whatever the error is.
func ExampleLoop_errors() {
	loop := loopstore.New(loopstore.Options{})

	_, err := loop.CommitSessionBoundary(context.Background(), "agent-1", store.BoundaryCommit{
		Session:  store.SessionDelta{SessionSnapshot: []byte(`{"id": "not a UUID"}`)},
		Boundary: store.RunStart,
	})
	fmt.Println(errors.Is(err, store.ErrInvalidSnapshot))
	if where, ok := errors.AsType[*session.Error](err); ok {
		fmt.Println(where.Offset, where.Reason)
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err = loop.PersistRuntimeState(ctx, "agent-1", store.RuntimeIdle)
	fmt.Println(err)

	fmt.Println(loop.Close())
	err = loop.PersistRuntimeState(context.Background(), "agent-1", store.RuntimeIdle)
	fmt.Println(errors.Is(err, store.ErrClosed))
	// Output:
	// true
	// 7 invalid UUID
	// persist_runtime_state of runtime "agent-1": context canceled (nothing was applied)
	// <nil>
	// true
}
