package demo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func TestEveryInputLivesItsWholeLife(t *testing.T) {
	w := played(t)
	for _, a := range w.agents {
		inputs, err := w.loop.LoadInputStates(t.Context(), a.id)
		require.NoError(t, err)
		require.Len(t, inputs, 12+4, "one in each turn, two in every third")
		for _, input := range inputs {
			life := []store.InputLifecycleState{store.InputAccepted}
			at := input.CreatedAt.Time()
			for _, h := range input.History {
				require.Equal(t, life[len(life)-1], h.From)
				require.False(t, h.Timestamp.Time().Before(at))
				life, at = append(life, h.To), h.Timestamp.Time()
			}
			require.Equal(t, []store.InputLifecycleState{
				store.InputAccepted, store.InputQueued, store.InputStaged, store.InputApplied, store.InputConsumed,
			}, life)
			require.Equal(t, store.InputConsumed, input.CurrentState)
			require.Equal(t, store.OutcomeConsumed, input.TerminalOutcome.Type)
		}
	}
}

func TestEveryRunStartsAtSequenceZero(t *testing.T) {
	w := played(t)
	for _, a := range w.agents {
		require.Len(t, a.account.runs, 2)
		for _, run := range a.account.runs {
			for i, b := range run.boundaries {
				require.EqualValues(t, i, b.receipt.Sequence)
				require.Equal(t, i == 0, b.receipt.Boundary == store.RunStart)
			}
		}
	}
}
