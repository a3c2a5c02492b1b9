package archive_test

import (
	"os"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/state"
)

// A file, to the byte.
func ExampleWrite() {
	var at store.Time
	if err := at.UnmarshalText([]byte("2026-03-12T16:37:06Z")); err != nil {
		panic(err)
	}
	input := store.NewInputState(store.InputID{1}, at)
	input.PersistedInput = []byte(`{ "input_type": "prompt" }`)
	var held state.State
	_, err := ops.Run(&held, ops.AtomicApply{RuntimeID: "agent-1", Commit: store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: []byte("any bytes")}, SessionStoreKey: &store.SessionID{3},
		Receipt:      store.RunBoundaryReceipt{RunID: store.RunID{2}, Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}}},
		InputUpdates: []store.InputState{input},
	}})
	if err != nil {
		panic(err)
	}
	if err := archive.Write(os.Stdout, held.Image()); err != nil {
		panic(err)
	}
	// Output:
	// {"type":"header","format":"loopstore","version":1,"revision":1,"runtimes":1,"input_states":1,"runs":1,"receipts":1,"snapshots":1,"sessions":1,"check":"63a8b94398d61063"}
	// {"type":"runtime","runtime_id":"agent-1","version":1,"snapshots":1,"input_states":1,"runs":1,"dropped_runs":0,"latest_receipt":{"run_id":"02000000-0000-0000-0000-000000000000","sequence":0},"check":"08170a03c91fcd1c"}
	// {"type":"snapshot","text":"any bytes","check":"7a7984ca008a51e3"}
	// {"type":"input_state","state":{"input_id":"01000000-0000-0000-0000-000000000000","current_state":"accepted","attempt_count":0,"recovery_count":0,"created_at":"2026-03-12T16:37:06Z","updated_at":"2026-03-12T16:37:06Z"},"persisted_input":"{ \"input_type\": \"prompt\" }","check":"ad09dab71ef0adad"}
	// {"type":"run","run_id":"02000000-0000-0000-0000-000000000000","highest_sequence":0,"receipts":1,"check":"75e0bb0514ef2bb5"}
	// {"type":"receipt","receipt":{"run_id":"02000000-0000-0000-0000-000000000000","boundary":"run_start","contributing_input_ids":["01000000-0000-0000-0000-000000000000"],"message_count":0,"sequence":0},"check":"a0a15ae353d67d0c"}
	// {"type":"session","session_id":"03000000-0000-0000-0000-000000000000","runtime_id":"agent-1","check":"63fcd086afd8fc87"}
	// {"type":"end","lines":8,"sha256":"544c92b5e5fcc9be9d71b49b478928c448ba2caf6ae5aa2befb2adc1ef9a996d","check":"d4852679f8e263cb"}
}
