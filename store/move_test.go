package store_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func TestMoveWritesWhatBelongsToIt(t *testing.T) {
	at := func(seconds int64) store.Time { return store.TimeOf(time.Unix(seconds, 0)) }
	s := store.NewInputState(store.NewInputID(), at(1))
	require.NoError(t, s.Move(store.InputQueued, at(2), ""))
	other := s
	require.NoError(t, s.Move(store.InputStaged, at(3), "its turn"))
	require.NoError(t, other.Move(store.InputQueued, at(4), "again"))
	require.Equal(t, "its turn", *s.History[1].Reason, "a copy has a history of its own")
	require.NoError(t, s.Move(store.InputConsumed, at(5), ""))
	require.Equal(t, &store.TerminalOutcome{Type: store.OutcomeConsumed}, s.TerminalOutcome)
	require.Equal(t, []any{store.InputConsumed, at(1), at(5)}, []any{s.CurrentState, s.CreatedAt, s.UpdatedAt})
	require.Equal(t, store.HistoryEntry{Timestamp: at(5), From: store.InputStaged, To: store.InputConsumed}, s.History[2])
	require.NoError(t, s.Move(store.InputQueued, at(6), "by hand"))
	require.Nil(t, s.TerminalOutcome, "it goes on")
	require.NoError(t, s.Validate())
}

func TestMoveNeedsTheOutcomeOfAnEnd(t *testing.T) {
	by := store.NewInputID()
	for state, outcome := range map[store.InputLifecycleState]store.TerminalOutcome{
		store.InputSuperseded: {Type: store.OutcomeSuperseded, SupersededBy: by},
		store.InputCoalesced:  {Type: store.OutcomeCoalesced, AggregateID: by},
		store.InputAbandoned:  {Type: store.OutcomeAbandoned, Reason: store.AbandonCancelled},
		store.InputConsumed:   {Type: store.OutcomeConsumed},
	} {
		s := store.NewInputState(store.NewInputID(), store.TimeOf(time.Unix(1, 0)))
		before := s.Clone()
		wrong := &store.TerminalOutcome{Type: store.OutcomeConsumed}
		if state == store.InputConsumed {
			wrong = &store.TerminalOutcome{Type: store.OutcomeAbandoned, Reason: store.AbandonReset}
		}
		refused := func(to store.InputLifecycleState, at store.Time, reason, field string) {
			var invalid *store.ValueError
			require.ErrorAs(t, s.Move(to, at, reason), &invalid)
			require.Contains(t, invalid.Field, field)
			s.TerminalOutcome = nil
			require.Equal(t, before, s, "it has not changed")
		}
		s.TerminalOutcome = wrong
		refused(state, s.CreatedAt, "", "terminal_outcome")
		if state != store.InputConsumed {
			refused(state, s.CreatedAt, "", "terminal_outcome")
		}
		refused("elsewhere", s.CreatedAt, "", "current_state")
		refused(store.InputQueued, s.CreatedAt, "\xff", "history")
		s.TerminalOutcome = &outcome
		require.NoError(t, s.Move(state, s.CreatedAt, "over"))
		require.Equal(t, &outcome, s.TerminalOutcome)
	}
}

// Ids of names are the same in every version and everywhere: these are Python's
// uuid.uuid5(uuid.UUID(namespace), name).
func TestIDsOfNames(t *testing.T) {
	require.Equal(t, "3cb7bfd7-850e-50b1-897e-3b9f9bef344b", store.InputIDOf("telegram:17/42").String())
	require.Equal(t, "b2b67d5e-14d6-5771-8cf0-70341eb99ee3", store.RunIDOf("telegram:17/42").String())
	require.Equal(t, "ff704192-ae18-52c4-8d20-4601445ca38e", store.InputIDOf("").String())
	require.NotEqual(t, store.InputIDOf("a"), store.InputIDOf("A"))
}

// The documentation names the namespaces too.
func TestNamespacesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/operating.md")
	require.NoError(t, err)
	require.Contains(t, string(text), store.InputIDNamespace)
	require.Contains(t, string(text), store.RunIDNamespace)
}
