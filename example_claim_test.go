package loopstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// Two workers want the same input. Each claims it under the condition that it
// is still queued, so only one gets it.
func ExampleLoop_Commit() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	input := queued(ctx, loop)

	claim := batch.Batch{
		If: []batch.Condition{batch.InputIn("agent-1", input.InputID, store.InputQueued)},
		Then: []batch.Write{
			batch.PutInputState{RuntimeID: "agent-1", State: staged(input)},
			batch.PutRuntimeState{RuntimeID: "agent-1", State: store.RuntimeRunning},
		},
	}
	for _, worker := range []string{"first", "second"} {
		result, err := loop.Commit(ctx, claim)
		if conflict, lost := errors.AsType[*batch.ConflictError](err); lost {
			fmt.Println(worker, "worker: it is", conflict.Stands)
		} else if err == nil {
			fmt.Println(worker, "worker: it is mine, at revision", result.Revision)
		}
	}
	// Output:
	// first worker: it is mine, at revision 2
	// second worker: it is staged
}

// A view is all that a runtime held at one moment. It does not change.
func ExampleLoop_View() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	input := queued(ctx, loop)

	view, err := loop.View(ctx, "agent-1")
	if err != nil {
		panic(err)
	}
	if err := loop.PersistInputState(ctx, "agent-1", staged(input)); err != nil {
		panic(err)
	}
	for input := range view.InputStates() {
		fmt.Println("version", view.Version(), "was", input.CurrentState)
	}
	fmt.Println("current:", view.Current())
	// Output:
	// version 1 was queued
	// current: false
}

// A reader is for whoever looks often, such as a scheduler. It asks the owner
// only if something has changed.
func ExampleReader() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	input := queued(ctx, loop)

	reader := loop.Reader("agent-1")
	show := func() {
		view, err := reader.View(ctx)
		if err != nil {
			panic(err)
		}
		state, _ := view.InputState(input.InputID)
		fmt.Println("version", view.Version(), state.CurrentState)
	}
	show()
	show() // two atomic loads
	if err := loop.PersistInputState(ctx, "agent-1", staged(input)); err != nil {
		panic(err)
	}
	show()
	// Output:
	// version 1 queued
	// version 1 queued
	// version 2 staged
}

// A dashboard shows what an agent does, until there is none.
func ExampleLoop_Watch() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	input := queued(ctx, loop)

	var dashboard sync.WaitGroup
	shown := make(chan struct{})
	dashboard.Go(func() {
		for view, err := range loop.Watch(ctx, "agent-1", 0) {
			if err != nil || !view.Exists() {
				fmt.Println("it is gone", err)
				return
			}
			state, _ := view.InputState(input.InputID)
			fmt.Println("version", view.Version(), state.CurrentState)
			shown <- struct{}{}
		}
	})
	<-shown
	if err := loop.PersistInputState(ctx, "agent-1", staged(input)); err != nil {
		panic(err)
	}
	<-shown
	if _, err := loop.Commit(ctx, batch.Batch{Then: []batch.Write{batch.DeleteRuntime{RuntimeID: "agent-1"}}}); err != nil {
		panic(err)
	}
	dashboard.Wait()
	// Output:
	// version 1 queued
	// version 2 staged
	// it is gone <nil>
}

// All of it together: three workers serve all agents, a turn at a time each, and a dashboard
// follows the changes until everything is done.
func Example_claim() {
	ctx, done := context.WithCancel(context.Background())
	loop := loopstore.New(loopstore.Options{Queue: state.Queue{
		Ready: []store.InputLifecycleState{store.InputAccepted, store.InputQueued},
		Busy:  []store.InputLifecycleState{store.InputStaged},
	}})
	defer loop.Close()

	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			if err := work(ctx, loop); !errors.Is(err, context.Canceled) {
				panic(err)
			}
		})
	}
	for _, agent := range []store.RuntimeID{"agent-1", "agent-2", "agent-1"} {
		if err := loop.PersistInputState(ctx, agent, store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))); err != nil {
			panic(err)
		}
	}
	ended := map[store.RuntimeID]int{}
	for change, err := range loop.Changes(ctx, "") {
		if err != nil {
			panic(err)
		}
		view, err := loop.View(ctx, change.RuntimeID)
		if err != nil {
			panic(err)
		}
		if ended[change.RuntimeID] = view.Summary().Ended; ended["agent-1"] == 2 && ended["agent-2"] == 1 {
			break // change.Cursor is where to go on
		}
	}
	done()
	workers.Wait()
	fmt.Println("done by", ended)
	// Output: done by map[agent-1:2 agent-2:1]
}

// work claims inputs, and consumes them, until ctx ends.
func work(ctx context.Context, loop *loopstore.Loop) error {
	for {
		input, err := loop.ClaimNext(ctx, store.Claim{To: store.InputStaged}) // waits
		if err != nil {
			return err
		}
		fence := batch.InputVersionIs{RuntimeID: input.RuntimeID, InputID: input.State.InputID, Version: input.Version}
		// Here the work is done.
		if err := input.State.Move(store.InputConsumed, store.TimeOf(time.Now()), ""); err != nil {
			return err
		}
		_, err = loop.Commit(ctx, batch.Batch{
			If:   []batch.Condition{fence},
			Then: []batch.Write{batch.PutInputState{RuntimeID: input.RuntimeID, State: input.State}},
		})
		if err != nil && !errors.Is(err, store.ErrConflict) { // then somebody took it away
			return err
		}
	}
}

// queued stores an input that waits for agent-1.
func queued(ctx context.Context, loop *loopstore.Loop) store.InputState {
	input := store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))
	input.CurrentState = store.InputQueued
	if err := loop.PersistInputState(ctx, "agent-1", input); err != nil {
		panic(err)
	}
	return input
}

func staged(input store.InputState) store.InputState {
	if err := input.Move(store.InputStaged, store.TimeOf(time.Now()), "claimed"); err != nil {
		panic(err)
	}
	return input
}
