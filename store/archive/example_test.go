package archive_test

import (
	"os"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// exported returns a State with a runtime that has a session in two versions, and a
// fork of the first one.
func exported() *state.State {
	var at store.Time
	if err := at.UnmarshalText([]byte("2026-03-12T16:37:06Z")); err != nil {
		panic(err)
	}
	input := store.NewInputState(store.InputID{1}, at)
	input.PersistedInput = []byte(`{ "input_type": "prompt" }`)
	held := &state.State{Retention: store.Retention{Sessions: store.Keep{Last: 100}}, Now: at}
	perform(held, ops.AtomicApply{RuntimeID: "agent-1", Commit: store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: []byte("\"hi\"\n"), Format: store.FormatLines}, SessionStoreKey: &store.SessionID{3},
		Receipt:      store.RunBoundaryReceipt{RunID: store.RunID{2}, Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}}},
		InputUpdates: []store.InputState{input},
	}})
	perform(held, ops.Commit{Batch: batch.Batch{Then: []batch.Write{
		batch.PutSnapshot{RuntimeID: "agent-1", Snapshot: []byte("any bytes")},
	}}})
	perform(held, ops.Fork{RuntimeID: "agent-1", Number: 1, To: "agent-2"})
	return held
}

// A file, to the byte.
func ExampleWrite() {
	if err := archive.Write(os.Stdout, exported().Image()); err != nil {
		panic(err)
	}
	// Output:
	// {"type":"header","format":"loopstore","version":2,"revision":3,"runtimes":2,"input_states":1,"runs":1,"receipts":1,"versions":3,"parts":2,"sessions":1,"check":"866c7627ba556997"}
	// {"type":"runtime","runtime_id":"agent-1","version":2,"versions":2,"input_states":1,"runs":1,"dropped_runs":0,"latest_receipt":{"run_id":"02000000-0000-0000-0000-000000000000","sequence":0},"check":"c9ce352acc748b9f"}
	// {"type":"version","number":1,"made":1773333426,"receipt":{"run_id":"02000000-0000-0000-0000-000000000000","sequence":0},"parts":1,"format":"lines","part":1,"digest":"0ab27abed284a74089f5ad563c74842de4ecaf5c9dad91226adc57dc59fd3a8a","messages":1,"check":"123b19c0670f96eb"}
	// {"type":"part","number":1,"text":"\"hi\"\n","check":"0871646bb29f6aa2"}
	// {"type":"version","number":2,"made":1773333426,"parts":1,"format":"unset","part":2,"check":"4189dadc57d4fb2c"}
	// {"type":"part","number":2,"text":"any bytes","check":"d6b52ac0d6682904"}
	// {"type":"input_state","state":{"input_id":"01000000-0000-0000-0000-000000000000","current_state":"accepted","attempt_count":0,"recovery_count":0,"created_at":"2026-03-12T16:37:06Z","updated_at":"2026-03-12T16:37:06Z"},"persisted_input":"{ \"input_type\": \"prompt\" }","check":"d56b70e5afe0d1c9"}
	// {"type":"run","run_id":"02000000-0000-0000-0000-000000000000","highest_sequence":0,"receipts":1,"check":"01dbc9a8e8aec1fd"}
	// {"type":"receipt","receipt":{"run_id":"02000000-0000-0000-0000-000000000000","boundary":"run_start","contributing_input_ids":["01000000-0000-0000-0000-000000000000"],"message_count":0,"sequence":0},"check":"7602fa07ac1bf35d"}
	// {"type":"runtime","runtime_id":"agent-2","version":3,"origin":{"runtime_id":"agent-1","number":1},"versions":1,"input_states":0,"runs":0,"dropped_runs":0,"check":"a1dbbd75896ba20f"}
	// {"type":"version","number":1,"made":1773333426,"parts":0,"format":"lines","part":1,"digest":"0ab27abed284a74089f5ad563c74842de4ecaf5c9dad91226adc57dc59fd3a8a","messages":1,"check":"6a0731294627ddc5"}
	// {"type":"session","session_id":"03000000-0000-0000-0000-000000000000","runtime_id":"agent-1","parts":0,"format":"lines","part":1,"digest":"0ab27abed284a74089f5ad563c74842de4ecaf5c9dad91226adc57dc59fd3a8a","messages":1,"check":"da41ce3934408775"}
	// {"type":"end","lines":13,"sha256":"6587739213b56f058b2d3283700e354cf39cb79a0c98b434dc475ee727456270","check":"b6ecac90946080ba"}
}
