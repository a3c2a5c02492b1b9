package store_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

const (
	bare = `{"input_id":"0195b1c2-0000-7000-8000-000000000001","current_state":"queued","attempt_count":0,"recovery_count":0,"created_at":"2026-03-12T15:57:06Z","updated_at":"2026-03-12T15:57:06.500Z"}`

	full = `{"input_id":"0195b1c2-0000-7000-8000-000000000001","current_state":"abandoned",` +
		`"policy":{"version":18446744073709551615,"decision":{"apply_mode":"inject_now","wake_mode":"none","queue_mode":"priority","consume_point":"explicit_ack","record_transcript":false,"emit_operator_content":true,"policy_version":2}},` +
		`"terminal_outcome":{"outcome_type":"abandoned","reason":"cancelled"},"durability":"ephemeral","idempotency_key":"","attempt_count":4294967295,"recovery_count":1,` +
		`"history":[{"timestamp":"2026-03-12T15:57:06.000001Z","from":"accepted","to":"queued","reason":"a < b"},{"timestamp":"2026-03-12T15:57:06.000000001Z","from":"queued","to":"abandoned"}],` +
		`"reconstruction_source":{"source_type":"coalescing","source_input_ids":["0195b1c2-0000-7000-8000-000000000002"]},` +
		`"persisted_input":{"b":[1.50,-0,1E400,"\u00e9\/"],"a":{},"a":null},` +
		`"last_run_id":"0195b1c2-0000-7000-8000-000000000003","last_boundary_sequence":18446744073709551615,"created_at":"2016-12-31T23:59:60Z","updated_at":"+10000-01-01T00:00:00Z"}`

	receipt = `{"run_id":"0195b1c2-0000-7000-8000-000000000003","boundary":"run_start","contributing_input_ids":[],"message_count":18446744073709551615,"sequence":0}`
)

func TestInputStateJSON(t *testing.T) {
	for name, text := range map[string]string{
		"bare":       bare,
		"full":       full,
		"superseded": strings.Replace(bare, `"attempt_count"`, `"terminal_outcome":{"outcome_type":"superseded","superseded_by":"00000000-0000-0000-0000-000000000000"},"attempt_count"`, 1),
		"coalesced":  strings.Replace(bare, `"attempt_count"`, `"terminal_outcome":{"outcome_type":"coalesced","aggregate_id":"0195b1c2-0000-7000-8000-000000000004"},"attempt_count"`, 1),
		"consumed":   strings.Replace(bare, `"attempt_count"`, `"terminal_outcome":{"outcome_type":"consumed"},"attempt_count"`, 1),
		"projection": strings.Replace(bare, `"created_at"`, `"reconstruction_source":{"source_type":"projection","rule_id":"","source_event_id":"e"},"created_at"`, 1),
		"no sources": strings.Replace(bare, `"created_at"`, `"reconstruction_source":{"source_type":"coalescing","source_input_ids":[]},"created_at"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			var v1, v2 store.InputState
			require.NoError(t, json.Unmarshal([]byte(text), &v1))
			require.NoError(t, jsonv2.Unmarshal([]byte(text), &v2, jsontext.AllowDuplicateNames(true)))
			assert.Equal(t, v1, v2)
			out, err := v1.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, text, string(out))
		})
	}
}

func TestInputStateReading(t *testing.T) {
	with := func(members string) string { return strings.TrimSuffix(bare, "}") + "," + members + "}" }
	for name, text := range map[string]string{
		"unknown members":      with(`"x":{"y":1},"x":2`),
		"null options":         with(`"policy":null,"terminal_outcome":null,"durability":null,"idempotency_key":null,"reconstruction_source":null,"persisted_input":null,"last_run_id":null,"last_boundary_sequence":null`),
		"empty history":        with(`"history":[]`),
		"white space":          " " + strings.ReplaceAll(bare, ",", " ,\n") + "\t",
		"id without hyphens":   strings.Replace(bare, "0195b1c2-0000-7000-8000-000000000001", "0195B1C2000070008000000000000001", 1),
		"id as URN":            strings.Replace(bare, `"0195`, `"urn:uuid:0195`, 1),
		"id in braces":         strings.Replace(bare, "0195b1c2-0000-7000-8000-000000000001", "{0195b1c2-0000-7000-8000-000000000001}", 1),
		"time of another zone": strings.Replace(bare, "2026-03-12T15:57:06Z", "2026-03-12t21:27:06.000+05:30", 1),
	} {
		t.Run(name, func(t *testing.T) {
			var s store.InputState
			require.NoError(t, json.Unmarshal([]byte(text), &s))
			out, err := s.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, bare, string(out))
		})
	}

	for name, c := range map[string]struct{ text, field string }{
		"no input_id":             {strings.Replace(bare, "input_id", "inputid", 1), "input_id"},
		"no updated_at":           {strings.Replace(bare, "updated_at", "Updated_at", 1), "updated_at"},
		"member twice":            {with(`"attempt_count":0`), "attempt_count"},
		"count null":              {strings.Replace(bare, `"attempt_count":0`, `"attempt_count":null`, 1), "attempt_count"},
		"count negative":          {strings.Replace(bare, `"attempt_count":0`, `"attempt_count":-1`, 1), "attempt_count"},
		"count a float":           {strings.Replace(bare, `"attempt_count":0`, `"attempt_count":1.0`, 1), "attempt_count"},
		"count too large":         {strings.Replace(bare, `"attempt_count":0`, `"attempt_count":4294967296`, 1), "attempt_count"},
		"count a string":          {strings.Replace(bare, `"attempt_count":0`, `"attempt_count":"secret"`, 1), "attempt_count"},
		"history null":            {with(`"history":null`), "history"},
		"history of null":         {with(`"history":[null]`), "history"},
		"history incomplete":      {with(`"history":[{"timestamp":"2026-03-12T15:57:06Z","from":"queued"}]`), "history[0].to"},
		"unknown state":           {strings.Replace(bare, "queued", "Queued", 1), "current_state"},
		"state null":              {strings.Replace(bare, `"queued"`, "null", 1), "current_state"},
		"unknown durability":      {with(`"durability":"secret"`), "durability"},
		"id malformed":            {strings.Replace(bare, "0195b1c2-", "0195b1c2", 1), "input_id"},
		"id with URN in capitals": {strings.Replace(bare, `"0195`, `"URN:UUID:0195`, 1), "input_id"},
		"id half in braces":       {strings.Replace(bare, "0195b1c2-0000-7000-8000-000000000001", "{0195b1c2-0000-7000-8000-000000000001x", 1), "input_id"},
		"id a number":             {strings.Replace(bare, `"0195b1c2-0000-7000-8000-000000000001"`, "1", 1), "input_id"},
		"time without zone":       {strings.Replace(bare, "06Z", "06", 1), "created_at"},
		"sequence too large":      {with(`"last_boundary_sequence":18446744073709551616`), "last_boundary_sequence"},
		"outcome unknown":         {with(`"terminal_outcome":{"outcome_type":"secret"}`), "terminal_outcome.outcome_type"},
		"outcome untagged":        {with(`"terminal_outcome":{}`), "terminal_outcome.outcome_type"},
		"outcome incomplete":      {with(`"terminal_outcome":{"outcome_type":"abandoned"}`), "terminal_outcome.reason"},
		"outcome tagged twice":    {with(`"terminal_outcome":{"outcome_type":"consumed","outcome_type":"consumed"}`), "terminal_outcome.outcome_type"},
		"source incomplete":       {with(`"reconstruction_source":{"source_type":"projection","rule_id":"r"}`), "reconstruction_source.source_event_id"},
		"source of null":          {with(`"reconstruction_source":{"source_type":"coalescing","source_input_ids":[null]}`), "reconstruction_source.source_input_ids"},
		"policy incomplete":       {with(`"policy":{"version":1}`), "policy.decision"},
		"mode unknown":            {with(`"policy":{"version":1,"decision":{"apply_mode":"secret","wake_mode":"none","queue_mode":"none","consume_point":"on_apply","policy_version":1}}`), "policy.decision.apply_mode"},
		"flag null":               {with(`"policy":{"version":1,"decision":{"apply_mode":"ignore","wake_mode":"none","queue_mode":"none","consume_point":"on_apply","record_transcript":null,"policy_version":1}}`), "policy.decision.record_transcript"},
		"not an object":           {`"secret"`, ""},
		"null":                    {`null`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := store.InputState{AttemptCount: 7}
			err := s.UnmarshalJSON([]byte(c.text))
			var v *store.ValueError
			require.ErrorAs(t, err, &v)
			require.ErrorIs(t, err, store.ErrInvalidValue)
			assert.Equal(t, c.field, v.Field)
			assert.NotContains(t, err.Error(), "secret", "an error holds nothing of the value")
			assert.Equal(t, store.InputState{AttemptCount: 7}, s, "nothing was changed")
		})
	}
	for _, text := range []string{"", "{", bare[:len(bare)-1], bare + "x", strings.Replace(bare, ":0,", ":0 ", 1)} {
		var s store.InputState
		require.ErrorIs(t, s.UnmarshalJSON([]byte(text)), store.ErrInvalidValue)
	}
}

// What could not be read leaves its target alone.
func TestFailedReadingChangesNothing(t *testing.T) {
	policy := store.PolicySnapshot{Version: 7}
	require.Error(t, policy.UnmarshalJSON([]byte(`{"version":1}`)))
	assert.Equal(t, store.PolicySnapshot{Version: 7}, policy)
	decision := store.PolicyDecision{PolicyVersion: 7}
	require.Error(t, decision.UnmarshalJSON([]byte(`{"policy_version":1}`)))
	assert.Equal(t, store.PolicyDecision{PolicyVersion: 7}, decision)
	entry := store.HistoryEntry{From: store.InputQueued}
	require.Error(t, entry.UnmarshalJSON([]byte(`{"from":"staged"}`)))
	assert.Equal(t, store.HistoryEntry{From: store.InputQueued}, entry)
	id := store.RunID{7}
	require.Error(t, id.UnmarshalText([]byte("x")))
	assert.Equal(t, store.RunID{7}, id)
	at := store.TimeOf(time.Unix(7, 0))
	require.Error(t, at.UnmarshalText([]byte("-262143-01-01T00:00:00+01:00")))
	assert.Equal(t, store.TimeOf(time.Unix(7, 0)), at)
	state := store.RuntimeIdle
	require.Error(t, state.UnmarshalText([]byte("x")))
	assert.Equal(t, store.RuntimeIdle, state)
}

func TestReceiptJSON(t *testing.T) {
	const minted = `{"run_id":"0195b1c2-0000-7000-8000-000000000003","boundary":"immediate","contributing_input_ids":["0195b1c2-0000-7000-8000-000000000001"],"conversation_digest":"","message_count":1,"sequence":18446744073709551615}`
	for _, text := range []string{receipt, minted} {
		var r store.RunBoundaryReceipt
		require.NoError(t, json.Unmarshal([]byte(text), &r))
		out, err := json.Marshal(r)
		require.NoError(t, err)
		assert.Equal(t, text, string(out))
	}
	for field, text := range map[string]string{
		"boundary":               strings.Replace(receipt, "run_start", "run_end", 1),
		"contributing_input_ids": strings.Replace(receipt, "[]", "null", 1),
		"sequence":               strings.Replace(receipt, `"sequence":0`, `"sequence":1e0`, 1),
		"message_count":          strings.Replace(receipt, `"message_count"`, `"count"`, 1),
	} {
		r := store.RunBoundaryReceipt{Sequence: 7}
		var v *store.ValueError
		require.ErrorAs(t, r.UnmarshalJSON([]byte(text)), &v)
		assert.Equal(t, field, v.Field)
		assert.Equal(t, store.RunBoundaryReceipt{Sequence: 7}, r, "nothing was changed")
	}
}

// A nil slice is written like an empty one, by either library.
func TestNilSlices(t *testing.T) {
	r := store.RunBoundaryReceipt{Boundary: store.RunStart}
	one, err := json.Marshal(r)
	require.NoError(t, err)
	two, err := jsonv2.Marshal(r)
	require.NoError(t, err)
	assert.Contains(t, string(one), `"contributing_input_ids":[]`)
	assert.Equal(t, string(one), string(two))
	c := r.Clone()
	assert.Equal(t, r, c)
}

func TestValidate(t *testing.T) {
	valid := func() store.InputState {
		var s store.InputState
		require.NoError(t, json.Unmarshal([]byte(full), &s))
		return s
	}
	s := valid()
	require.NoError(t, s.Validate())
	for field, spoil := range map[string]func(*store.InputState){
		"current_state":                     func(s *store.InputState) { s.CurrentState = "" },
		"durability":                        func(s *store.InputState) { s.Durability = "forever" },
		"policy.decision.apply_mode":        func(s *store.InputState) { s.Policy.Decision.ApplyMode = "" },
		"policy.decision.wake_mode":         func(s *store.InputState) { s.Policy.Decision.WakeMode = "x" },
		"policy.decision.queue_mode":        func(s *store.InputState) { s.Policy.Decision.QueueMode = "x" },
		"policy.decision.consume_point":     func(s *store.InputState) { s.Policy.Decision.ConsumePoint = "x" },
		"terminal_outcome.outcome_type":     func(s *store.InputState) { s.TerminalOutcome.Type = "x" },
		"terminal_outcome.reason":           func(s *store.InputState) { s.TerminalOutcome.Reason = "x" },
		"terminal_outcome":                  func(s *store.InputState) { s.TerminalOutcome.AggregateID = store.InputID{1} },
		"idempotency_key":                   func(s *store.InputState) { s.IdempotencyKey = new("\xff") },
		"history[1].timestamp":              func(s *store.InputState) { s.History[1].Timestamp = store.TimeOf(time.Unix(1<<53, 0)) },
		"history[1].from":                   func(s *store.InputState) { s.History[1].From = "x" },
		"history[0].to":                     func(s *store.InputState) { s.History[0].To = "x" },
		"history[0].reason":                 func(s *store.InputState) { s.History[0].Reason = new("\xff") },
		"reconstruction_source.source_type": func(s *store.InputState) { s.ReconstructionSource.Type = "" },
		"reconstruction_source":             func(s *store.InputState) { s.ReconstructionSource.RuleID = "x" },
		"reconstruction_source.rule_id": func(s *store.InputState) {
			s.ReconstructionSource = &store.ReconstructionSource{Type: store.SourceProjection, RuleID: "\xff"}
		},
		"persisted_input": func(s *store.InputState) { s.PersistedInput = jsontext.Value("{") },
		"created_at":      func(s *store.InputState) { s.CreatedAt = store.TimeOf(time.Unix(-1<<53, 0)) },
		"updated_at":      func(s *store.InputState) { s.UpdatedAt = store.TimeOf(time.Unix(1<<53, 0)) },
	} {
		t.Run(field, func(t *testing.T) {
			s := valid()
			spoil(&s)
			var v *store.ValueError
			require.ErrorAs(t, s.Validate(), &v)
			assert.Equal(t, field, v.Field)
			_, err := s.MarshalJSON()
			require.ErrorIs(t, err, store.ErrInvalidValue)
		})
	}
	deep := func(n int) string { return strings.Repeat(`{"]\"[":[`, n/2) + strings.Repeat("]}", n/2) }
	s.PersistedInput = jsontext.Value(deep(9000))
	require.NoError(t, s.Validate())
	_, err := json.Marshal([]any{s})
	require.NoError(t, err, "what is valid can be written")
	for _, raw := range []string{"", " ", "null", "1 2", "\xff", `"\ud800"`, deep(9002)} {
		s := valid()
		s.PersistedInput = jsontext.Value(raw)
		require.ErrorIs(t, s.Validate(), store.ErrInvalidValue, "%q", raw)
	}
	require.ErrorIs(t, store.RuntimeState("").Validate(), store.ErrInvalidValue)
	require.ErrorIs(t, (&store.RunBoundaryReceipt{}).Validate(), store.ErrInvalidValue)
}

// Clone copies whatever a caller could change.
func TestClonePrivate(t *testing.T) {
	var s store.InputState
	require.NoError(t, json.Unmarshal([]byte(full), &s))
	c := s.Clone()
	assert.Equal(t, s, c)

	c.Policy.Version++
	c.TerminalOutcome.Reason = store.AbandonReset
	*c.IdempotencyKey = "x"
	c.History[0].To = store.InputStaged
	*c.History[0].Reason = "x"
	c.ReconstructionSource.SourceInputIDs[0] = store.InputID{}
	c.PersistedInput[0] = 'x'
	*c.LastRunID = store.RunID{}
	*c.LastBoundarySequence = 0
	out, err := s.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, full, string(out))

	d := s.Detach()
	out, err = d.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, full, string(out), "the same but for its memory")

	r := store.RunBoundaryReceipt{ContributingInputIDs: []store.InputID{{1}}, ConversationDigest: new("d")}
	k := r.Clone()
	assert.Equal(t, r, k)
	k.ContributingInputIDs[0], *k.ConversationDigest = store.InputID{2}, "e"
	assert.Equal(t, store.RunBoundaryReceipt{ContributingInputIDs: []store.InputID{{1}}, ConversationDigest: new("d")}, r)
}

func TestEnums(t *testing.T) {
	var s store.RuntimeState
	require.NoError(t, json.Unmarshal([]byte(`"retired"`), &s))
	assert.Equal(t, store.RuntimeRetired, s)
	err := json.Unmarshal([]byte(`"Retired"`), &s)
	require.ErrorIs(t, err, store.ErrInvalidValue)
	assert.ErrorContains(t, err, "initializing, idle, running, recovering, retired, stopped, destroyed")

	for s, want := range map[store.RuntimeState][3]bool{ // terminal, may accept, may process
		store.RuntimeInitializing: {false, false, false},
		store.RuntimeIdle:         {false, true, true},
		store.RuntimeRunning:      {false, true, false},
		store.RuntimeRecovering:   {false, false, false},
		store.RuntimeRetired:      {false, false, true},
		store.RuntimeStopped:      {true, false, false},
		store.RuntimeDestroyed:    {true, false, false},
	} {
		assert.Equal(t, want, [3]bool{s.IsTerminal(), s.MayAcceptInput(), s.MayProcessQueue()}, s)
	}
	for s, want := range map[store.InputLifecycleState]bool{
		store.InputAccepted: false, store.InputQueued: false, store.InputStaged: false, store.InputApplied: false,
		store.InputAppliedPendingConsumption: false, store.InputConsumed: true, store.InputSuperseded: true,
		store.InputCoalesced: true, store.InputAbandoned: true,
	} {
		assert.Equal(t, want, s.IsTerminal(), s)
	}
}

func TestIDs(t *testing.T) {
	const text = "0195b1c2-0000-7000-8000-00000000000a"
	want, err := store.ParseRunID(text)
	require.NoError(t, err)
	assert.Equal(t, text, want.String())
	for _, spelling := range []string{strings.ToUpper(text), strings.ReplaceAll(text, "-", ""), "{" + text + "}", "urn:uuid:" + text} {
		got, err := store.ParseRunID(spelling)
		require.NoError(t, err, spelling)
		assert.Equal(t, want, got)
	}
	for _, bad := range []string{"", "x", text[1:], text + " ", " " + text, "URN:UUID:" + text, "{" + text + "]", strings.Replace(text, "-", "0", 1)} {
		_, err := store.ParseInputID(bad)
		require.ErrorIs(t, err, store.ErrInvalidValue, bad)
	}
	session, err := store.ParseSessionID(text)
	require.NoError(t, err)
	assert.Equal(t, text, session.String())
	assert.NotEqual(t, store.NewRunID(), store.NewRunID())
	assert.NotEqual(t, store.NewInputID(), store.NewInputID())
	assert.NotEqual(t, store.NewSessionID(), store.NewSessionID())
}
