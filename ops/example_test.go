package ops_test

import (
	"fmt"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A State needs no loop: in one goroutine, a simulation say, Run does the
// operations on it.
func ExampleRun() {
	var state state.State
	if _, err := ops.Run(&state, ops.PersistRuntimeState{RuntimeID: "agent-1", State: store.RuntimeIdle}); err != nil {
		panic(err)
	}
	found, err := ops.Run(&state, ops.LoadRuntimeState{RuntimeID: "agent-1"})
	fmt.Println(found.Value, found.OK, err)
	// Output: idle true <nil>
}
