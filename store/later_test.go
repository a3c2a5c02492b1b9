package store_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func abandoned(reason string) []byte {
	return fmt.Appendf(nil, `{"input_id":"01000000-0000-0000-0000-000000000000","current_state":"abandoned","terminal_outcome":{"outcome_type":"abandoned","reason":%s},"attempt_count":0,"recovery_count":0,"created_at":"1970-01-01T00:00:00Z","updated_at":"1970-01-01T00:00:00Z"}`, reason)
}

// Reasons of later versions of Meerkat are read only where that is asked for, and are
// written as they were read.
func TestReasonsOfLaterVersions(t *testing.T) {
	for text, want := range map[string]store.TerminalOutcome{
		`"stopped"`:        {Reason: store.AbandonStopped},
		`"never_executed"`: {Reason: store.AbandonNeverExecuted},
		`{"max_attempts_exhausted":{"attempts":3}}`: {Reason: store.AbandonMaxAttemptsExhausted, Attempts: 3},
		`{"max_attempts_exhausted":{"attempts":0}}`: {Reason: store.AbandonMaxAttemptsExhausted},
		`"retired"`: {Reason: store.AbandonRetired},
	} {
		want.Type = store.OutcomeAbandoned
		var s store.InputState
		require.NoError(t, s.UnmarshalLater(abandoned(text)), text)
		assert.Equal(t, want, *s.TerminalOutcome)
		assert.NoError(t, s.Validate())
		assert.Equal(t, want, *new(s.Detach()).TerminalOutcome)
		again, err := json.Marshal(s)
		require.NoError(t, err)
		assert.Equal(t, string(abandoned(text)), string(again))
		if want.Reason != store.AbandonRetired {
			assert.ErrorIs(t, new(store.InputState).UnmarshalJSON(again), store.ErrInvalidValue, text)
		}
	}
	for _, text := range []string{
		`"x"`, `"max_attempts_exhausted"`, `null`, `3`, `{}`, `{"stopped":{}}`, `{"max_attempts_exhausted":{}}`, `{"max_attempts_exhausted":3}`,
		`{"max_attempts_exhausted":{"attempts":-1}}`, `{"max_attempts_exhausted":{"attempts":4294967296}}`,
		`{"max_attempts_exhausted":{"attempts":1},"more":1}`, `{"max_attempts_exhausted":{"attempts":1,"attempts":2}}`,
	} {
		s := store.InputState{AttemptCount: 7}
		err := s.UnmarshalLater(abandoned(text))
		assert.ErrorIs(t, err, store.ErrInvalidValue, text)
		assert.Equal(t, store.InputState{AttemptCount: 7}, s, "it is unchanged")
	}
	bad := store.TerminalOutcome{Type: store.OutcomeAbandoned, Reason: store.AbandonStopped, Attempts: 1}
	_, err := bad.MarshalJSON()
	assert.ErrorIs(t, err, store.ErrInvalidValue, "attempts of another reason")
}
