package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

// accepted returns the state of input n at its start.
func accepted(n byte) store.InputState {
	return store.NewInputState(store.InputID{n}, store.Time{})
}

// attempted returns the state of input n at an attempt. The attempt tells the states
// of one input apart.
func attempted(n byte, attempt uint32) store.InputState {
	s := accepted(n)
	s.AttemptCount = attempt
	return s
}

// document returns a session document whose conversation is messages.
func document(messages string) []byte {
	return []byte(`{"version":1,"id":"0195b1c2-0000-7000-8000-000000000001","messages":` + messages +
		`,"created_at":{"secs_since_epoch":1,"nanos_since_epoch":2},"updated_at":{"secs_since_epoch":3,"nanos_since_epoch":4}}`)
}

// conversation returns the canonical text of n messages with size letters each.
func conversation(n, size int) string {
	turns := make([]string, n)
	for i := range turns {
		turns[i] = fmt.Sprintf(`{"role":"user","content":"%d %s"}`, i, strings.Repeat("x", size))
	}
	return "[" + strings.Join(turns, ",") + "]"
}

// digestOf returns the digest of a conversation, given its canonical text.
func digestOf(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return hex.EncodeToString(sum[:])
}

// committing returns a commit of one message to a run.
func committing(run store.RunID, updates ...store.InputState) store.BoundaryCommit {
	return store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: document(conversation(1, 1))},
		RunID:   run, Boundary: store.RunStart, InputUpdates: updates,
	}
}

// applying returns an apply of a receipt at a run and sequence.
func applying(run store.RunID, sequence uint64, updates ...store.InputState) store.BoundaryApply {
	return store.BoundaryApply{
		Receipt:      store.RunBoundaryReceipt{RunID: run, Boundary: store.Immediate, Sequence: sequence},
		InputUpdates: updates,
	}
}

// fill stores a value of every kind in a runtime: a state, a snapshot, inputs 1 and 2,
// receipt 0 of run 1, and the last possible receipt of run 9.
func (tr *trial) fill(id store.RuntimeID) {
	tr.Helper()
	tr.persist(id, accepted(1))
	tr.setRuntime(id, store.RuntimeIdle)
	tr.apply(id, applying(store.RunID{9}, math.MaxUint64))
	tr.commit(id, committing(store.RunID{1}, accepted(2)))
}

// textOf returns a value's JSON. Values count as equal if their JSON is: an absent list
// and an empty one, for example.
func textOf(v json.Marshaler) string {
	text, err := v.MarshalJSON()
	if err != nil {
		return "invalid: " + err.Error()
	}
	return string(text)
}

func textsOf(states []store.InputState) []string {
	texts := make([]string, len(states))
	for i, s := range states {
		texts[i] = textOf(s)
	}
	return texts
}

const (
	// full has every member, and numbers at their largest.
	full = `{"input_id":"03000000-0000-0000-0000-000000000000","current_state":"abandoned",` +
		`"policy":{"version":18446744073709551615,"decision":{"apply_mode":"inject_now","wake_mode":"none","queue_mode":"priority","consume_point":"explicit_ack","record_transcript":false,"emit_operator_content":true,"policy_version":9007199254740993}},` +
		`"terminal_outcome":{"outcome_type":"abandoned","reason":"cancelled"},"durability":"ephemeral","idempotency_key":"clé \u0000","attempt_count":4294967295,"recovery_count":1,` +
		`"history":[{"timestamp":"2026-03-12T15:57:06.000001Z","from":"accepted","to":"queued","reason":"a < b"},{"timestamp":"2026-03-12T15:57:06.000000001Z","from":"queued","to":"abandoned"}],` +
		`"reconstruction_source":{"source_type":"coalescing","source_input_ids":["0195b1c2-0000-7000-8000-000000000002","00000000-0000-0000-0000-000000000000"]},` +
		`"persisted_input":{"b":[1.50,-0,1E400,18446744073709551617,"\u00e9\/"],"a":{},"a":null},` +
		`"last_run_id":"0195b1c2-0000-7000-8000-000000000003","last_boundary_sequence":18446744073709551615,"created_at":"2026-03-12T15:57:06Z","updated_at":"2026-03-12T15:57:07.500Z"}`

	// bare has only the members that every state has.
	bare = `{"input_id":"03000000-0000-0000-0000-000000000000","current_state":"queued","attempt_count":0,"recovery_count":0,"created_at":"2026-03-12T15:57:06Z","updated_at":"2026-03-12T15:57:06.500Z"}`
)

// bareWith returns a bare state with further members.
func bareWith(members string) string {
	return strings.Replace(bare, `"attempt_count":0,"recovery_count":0`, members, 1)
}

// inputFrom parses a state.
func (tr *trial) inputFrom(text string) store.InputState {
	tr.Helper()
	var s store.InputState
	require.NoError(tr, json.Unmarshal([]byte(text), &s), "this suite's own sample")
	return s
}
