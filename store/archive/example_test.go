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
	// {"type":"header","format":"loopstore","version":3,"revision":3,"runtimes":2,"input_states":1,"runs":1,"receipts":1,"versions":3,"parts":2,"sessions":1,"check":"df0ddbffd361b3b2"}
	// {"type":"runtime","runtime_id":"agent-1","version":2,"made":"2026-03-12T16:37:06Z","active":"2026-03-12T16:37:06Z","versions":2,"input_states":1,"runs":1,"dropped_runs":0,"latest_receipt":{"run_id":"02000000-0000-0000-0000-000000000000","sequence":0},"check":"3534ca9ee9929132"}
	// {"type":"version","number":1,"made":1773333426,"receipt":{"run_id":"02000000-0000-0000-0000-000000000000","sequence":0},"parts":1,"format":"lines","part":1,"digest":"0ab27abed284a74089f5ad563c74842de4ecaf5c9dad91226adc57dc59fd3a8a","messages":1,"check":"daa6270d3fc8816d"}
	// {"type":"part","number":1,"text":"\"hi\"\n","check":"db1679099f2115cb"}
	// {"type":"version","number":2,"made":1773333426,"parts":1,"format":"unset","part":2,"check":"90331bd6e9cdc2a5"}
	// {"type":"part","number":2,"text":"any bytes","check":"f3707c1579d40ab9"}
	// {"type":"input_state","state":{"input_id":"01000000-0000-0000-0000-000000000000","current_state":"accepted","attempt_count":0,"recovery_count":0,"created_at":"2026-03-12T16:37:06Z","updated_at":"2026-03-12T16:37:06Z"},"persisted_input":"{ \"input_type\": \"prompt\" }","check":"d82646cb88fbf6ec"}
	// {"type":"run","run_id":"02000000-0000-0000-0000-000000000000","highest_sequence":0,"receipts":1,"check":"b79aa8dbc3e82152"}
	// {"type":"receipt","receipt":{"run_id":"02000000-0000-0000-0000-000000000000","boundary":"run_start","contributing_input_ids":["01000000-0000-0000-0000-000000000000"],"message_count":0,"sequence":0},"check":"da55f13dfd612f5a"}
	// {"type":"runtime","runtime_id":"agent-2","version":3,"made":"2026-03-12T16:37:06Z","active":"2026-03-12T16:37:06Z","origin":{"runtime_id":"agent-1","number":1},"versions":1,"input_states":0,"runs":0,"dropped_runs":0,"check":"cbd9394ac79d9d3b"}
	// {"type":"version","number":1,"made":1773333426,"parts":0,"format":"lines","part":1,"digest":"0ab27abed284a74089f5ad563c74842de4ecaf5c9dad91226adc57dc59fd3a8a","messages":1,"check":"03a31953a4daea9d"}
	// {"type":"session","session_id":"03000000-0000-0000-0000-000000000000","runtime_id":"agent-1","parts":0,"format":"lines","part":1,"digest":"0ab27abed284a74089f5ad563c74842de4ecaf5c9dad91226adc57dc59fd3a8a","messages":1,"check":"6412cb6749b98bee"}
	// {"type":"end","lines":13,"sha256":"433c806ea1124f8da0352fb86148be9c518f36ff67a1c9579039b573835474ba","check":"26050fd4d4a23fc7"}
}
