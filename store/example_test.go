package store_test

import (
	"encoding/json"
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// Values are read and written as Meerkat does.
func ExampleInputState_MarshalJSON() {
	var state store.InputState
	err := json.Unmarshal([]byte(`{
		"created_at": "2026-03-12T17:57:06.500+02:00",
		"updated_at": "2026-03-12T15:57:07Z",
		"input_id": "urn:uuid:0195b1c2-0000-7000-8000-000000000001",
		"current_state": "queued"
	}`), &state)
	fmt.Println(err)
	text, err := json.MarshalIndent(state, "", "  ")
	fmt.Println(string(text), err)
	// Output:
	// <nil>
	// {
	//   "input_id": "0195b1c2-0000-7000-8000-000000000001",
	//   "current_state": "queued",
	//   "attempt_count": 0,
	//   "recovery_count": 0,
	//   "created_at": "2026-03-12T15:57:06.500Z",
	//   "updated_at": "2026-03-12T15:57:07Z"
	// } <nil>
}

// Reading is strict, and says which member it was.
func ExampleValueError() {
	var state store.InputState
	err := json.Unmarshal([]byte(`{"input_id": "0195b1c2-0000-7000-8000-000000000001", "current_state": "Queued"}`), &state)
	fmt.Println(err)
	// Output: invalid value: current_state: expected one of accepted, queued, staged, applied, applied_pending_consumption, consumed, superseded, coalesced, abandoned
}
