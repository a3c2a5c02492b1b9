package loopstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A page of a list says whether there is more, and where it goes on.
func ExampleLoop_Runtimes() {
	ctx, loop := context.Background(), loopstore.New(loopstore.Options{})
	defer loop.Close()
	for _, id := range []store.RuntimeID{"agent-1", "agent-2", "agent-3"} {
		check(loop.PersistRuntimeState(ctx, id, store.RuntimeIdle))
		check(loop.PersistInputState(ctx, id, store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))))
	}
	for summary, err := range loop.Runtimes(ctx, state.Listing{Paging: state.Paging{Limit: 2}}) { // two requests
		check(err)
		fmt.Println(summary.RuntimeID, summary.Version, summary.RuntimeState, summary.Held.InputStates)
	}
	view, err := loop.View(ctx, "agent-1")
	check(err)
	accepted := view.InputPage(state.Paging{Limit: 50}, store.InputAccepted)
	fmt.Println(len(accepted.Items), accepted.More)
	// Output:
	// agent-1 2 idle 1
	// agent-2 4 idle 1
	// agent-3 6 idle 1
	// 1 false
}

// What has ended goes; what has not stays.
func ExampleLoop_Prune() {
	ctx, loop := context.Background(), loopstore.New(loopstore.Options{})
	defer loop.Close()
	for i := range 10 {
		input := store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))
		if i < 8 {
			input.CurrentState = store.InputConsumed
		}
		check(loop.PersistInputState(ctx, "agent-1", input))
	}
	keep := store.Retention{Inputs: store.Keep{Last: 5, For: 24 * time.Hour}}
	would, err := loop.WouldPrune(ctx, "agent-1", keep)
	check(err)
	removed, err := loop.Prune(ctx, "agent-1", keep)
	check(err)
	fmt.Println(would.InputStates, removed == would)
	all, err := loop.DeleteRuntime(ctx, "agent-1")
	check(err)
	fmt.Println(all.Runtimes, all.InputStates)
	// Output:
	// 3 true
	// 1 7
}

// check stands for what a program does about an error.
func check(err error) {
	if err != nil {
		panic(err)
	}
}
