package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/loopstore/loopstore/store"
)

// A sample is an input state as JSON.
type sample struct{ name, text string }

// samples have each member at its zero value, at its largest value, and at every
// constant of its enum.
func samples() []sample {
	long := strings.Repeat("x", 70_000) // more than 64 KiB
	all := []sample{
		{"all members", full},
		{"few members", bare},
		{"superseded", bareWith(`"terminal_outcome":{"outcome_type":"superseded","superseded_by":"00000000-0000-0000-0000-000000000000"},"attempt_count":1,"recovery_count":2`)},
		{"coalesced", bareWith(`"terminal_outcome":{"outcome_type":"coalesced","aggregate_id":"0195b1c2-0000-7000-8000-000000000004"},"attempt_count":1,"recovery_count":2`)},
		{"consumed", bareWith(`"terminal_outcome":{"outcome_type":"consumed"},"attempt_count":1,"recovery_count":2`)},
		{"a projection", bareWith(`"attempt_count":0,"recovery_count":0,"reconstruction_source":{"source_type":"projection","rule_id":"","source_event_id":"e"}`)},
		{"no sources", bareWith(`"attempt_count":0,"recovery_count":0,"reconstruction_source":{"source_type":"coalescing","source_input_ids":[]}`)},
		{"an empty key", bareWith(`"idempotency_key":"","attempt_count":0,"recovery_count":0`)},
		{"a long key", bareWith(`"idempotency_key":"` + long + `","attempt_count":0,"recovery_count":0`)},
		{"an empty reason", bareWith(`"attempt_count":0,"recovery_count":4294967295,"history":[{"timestamp":"2016-12-31T23:59:60Z","from":"accepted","to":"queued","reason":""}]`)},
		{"boundary 0 of run 0", bareWith(`"attempt_count":0,"recovery_count":0,"last_run_id":"00000000-0000-0000-0000-000000000000","last_boundary_sequence":0`)},
	}
	for _, at := range []string{"2016-12-31T23:59:60.999999999Z", "-262143-01-01T00:00:00Z", "+262142-12-31T23:59:59Z"} {
		all = append(all, sample{at, strings.NewReplacer("2026-03-12T15:57:06Z", at, "2026-03-12T15:57:06.500Z", at).Replace(bare)})
	}
	for _, input := range []string{"0", "false", "true", `""`, "{}", "[]", "-0.0", `{"a":1,"a":2}`, `"` + long + `"`} {
		all = append(all, sample{fmt.Sprintf("input %.20s", input), bareWith(`"attempt_count":0,"recovery_count":0,"persisted_input":` + input)})
	}
	for _, d := range []store.InputDurability{store.Durable, store.Ephemeral, store.Derived} {
		all = append(all, sample{string(d), bareWith(`"durability":"` + string(d) + `","attempt_count":0,"recovery_count":0`)})
	}
	for _, r := range []store.AbandonReason{store.AbandonRetired, store.AbandonReset, store.AbandonDestroyed, store.AbandonCancelled} {
		all = append(all, sample{"abandoned: " + string(r), bareWith(`"terminal_outcome":{"outcome_type":"abandoned","reason":"` + string(r) + `"},"attempt_count":0,"recovery_count":0`)})
	}
	return append(all, policies()...)
}

// policies have every constant of each enum of a policy, and zero values.
func policies() (all []sample) {
	apply := []store.ApplyMode{store.StageRunStart, store.StageRunBoundary, store.InjectNow, store.Ignore}
	wake := []store.WakeMode{store.WakeIfIdle, store.WakeNone}
	queue := []store.QueueMode{store.QueueNone, store.QueueFIFO, store.QueueCoalesce, store.QueueSupersede, store.QueuePriority}
	consume := []store.ConsumePoint{store.ConsumeOnAccept, store.ConsumeOnApply, store.ConsumeOnRunStart, store.ConsumeOnRunComplete, store.ConsumeExplicitAck}
	for i := range queue {
		for _, yes := range []bool{false, true} {
			text := fmt.Sprintf(`"policy":{"version":%d,"decision":{"apply_mode":%q,"wake_mode":%q,"queue_mode":%q,"consume_point":%q,"record_transcript":%v,"emit_operator_content":%v,"policy_version":%d}},"attempt_count":0,"recovery_count":0`,
				i, apply[i%len(apply)], wake[i%len(wake)], queue[i], consume[i], yes, !yes, i)
			all = append(all, sample{fmt.Sprintf("policy %d, %v", i, yes), bareWith(text)})
		}
	}
	return all
}

// A spoiler makes the state with all members invalid.
type spoiler struct {
	name string
	do   func(*store.InputState)
}

func spoilers() []spoiler {
	tooLate := store.TimeOf(time.Unix(1<<60, 0))
	return []spoiler{
		{"a bad current_state", func(s *store.InputState) { s.CurrentState = "Queued" }},
		{"no current_state", func(s *store.InputState) { s.CurrentState = "" }},
		{"a bad durability", func(s *store.InputState) { s.Durability = "forever" }},
		{"an empty policy", func(s *store.InputState) { s.Policy = new(store.PolicySnapshot) }},
		{"a bad apply_mode", func(s *store.InputState) { s.Policy.Decision.ApplyMode = "no" }},
		{"a bad wake_mode", func(s *store.InputState) { s.Policy.Decision.WakeMode = "no" }},
		{"a bad queue_mode", func(s *store.InputState) { s.Policy.Decision.QueueMode = "no" }},
		{"a bad consume_point", func(s *store.InputState) { s.Policy.Decision.ConsumePoint = "no" }},
		{"a bad terminal_outcome", func(s *store.InputState) { s.TerminalOutcome.Type = "lost" }},
		{"a bad reason of a terminal_outcome", func(s *store.InputState) { s.TerminalOutcome.Reason = "lost" }},
		{"a terminal_outcome of two types", func(s *store.InputState) { s.TerminalOutcome.SupersededBy = store.InputID{1} }},
		{"an empty reconstruction_source", func(s *store.InputState) { s.ReconstructionSource = new(store.ReconstructionSource) }},
		{"a reconstruction_source of two types", func(s *store.InputState) { s.ReconstructionSource.RuleID = "r" }},
		{"a rule_id that is not text", func(s *store.InputState) {
			s.ReconstructionSource = &store.ReconstructionSource{Type: store.SourceProjection, RuleID: "\xff"}
		}},
		{"no state in the history", func(s *store.InputState) { s.History[1].To = "" }},
		{"a bad state in the history", func(s *store.InputState) { s.History[1].From = "Queued" }},
		{"a reason in the history that is not text", func(s *store.InputState) { s.History[0].Reason = new("\xff") }},
		{"a time in the history that is too late", func(s *store.InputState) { s.History[0].Timestamp = tooLate }},
		{"a created_at that is too late", func(s *store.InputState) { s.CreatedAt = tooLate }},
		{"an updated_at that is too late", func(s *store.InputState) { s.UpdatedAt = tooLate }},
		{"an empty persisted_input", func(s *store.InputState) { s.PersistedInput = []byte{} }},
		{"a persisted_input that is not JSON", func(s *store.InputState) { s.PersistedInput = []byte("{") }},
		{"a persisted_input of null", func(s *store.InputState) { s.PersistedInput = []byte("null") }},
		{"a persisted_input that is not text", func(s *store.InputState) { s.PersistedInput = []byte("\"\xff\"") }},
		{"an idempotency_key that is not text", func(s *store.InputState) { s.IdempotencyKey = new("\xff") }},
	}
}
