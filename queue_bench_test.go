//go:build !race

package loopstore_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// inputOf is a new input that waits.
func inputOf(n int) store.InputState {
	input := store.NewInputState(store.InputID{byte(n >> 16), byte(n >> 8), byte(n)}, store.Time{})
	input.CurrentState = store.InputQueued
	return input
}

func moved(b *testing.B, input store.InputState, to store.InputLifecycleState) store.InputState {
	require.NoError(b, input.Move(to, store.Time{}, ""))
	return input
}

// BenchmarkQueue does a turn on the owner alone: an input is enqueued, taken and consumed,
// in one of many runtimes. Without a Queue it is known which one is next.
func BenchmarkQueue(b *testing.B) {
	for _, n := range []int{1, 1_000, 100_000} {
		for _, name := range []string{"without", "with"} {
			b.Run(fmt.Sprintf("%s/runtimes=%d", name, n), func(b *testing.B) {
				s := &state.State{Activity: true}
				if name == "with" {
					s.Queue = queue
				}
				put := func(id store.RuntimeID, input store.InputState) {
					op := ops.PersistInputState{RuntimeID: id, State: input}
					if err := op.Prepare(s); err != nil {
						b.Fatal(err)
					}
					if err := ops.Apply(s, &op); err != nil {
						b.Fatal(err)
					}
					s.Settle()
				}
				ids, inputs := make([]store.RuntimeID, n), make([]store.InputState, 1000)
				for i := range ids {
					ids[i] = store.RuntimeID(fmt.Sprint("agent-", i))
					put(ids[i], moved(b, inputOf(0), store.InputConsumed))
					if i%2 == 1 { // half of them wait
						put(ids[i], inputOf(1))
					}
				}
				for i := range inputs {
					inputs[i] = inputOf(2 + i)
				}
				staged, consumed := moved(b, inputOf(0), store.InputStaged), moved(b, inputOf(0), store.InputConsumed)
				for i := 0; b.Loop(); i++ {
					id, input := ids[i%n], inputs[i%len(inputs)]
					put(id, input)
					if name == "with" {
						op := ops.ClaimNext{Claim: store.Claim{To: store.InputStaged}}
						if err := ops.Apply(s, &op); err != nil {
							b.Fatal(err)
						}
						s.Settle()
						claimed := op.Answer()
						id, input = claimed.RuntimeID, claimed.State
					} else {
						staged.InputID = input.InputID
						put(id, staged)
					}
					consumed.InputID = input.InputID
					put(id, consumed)
				}
			})
		}
	}
}

// BenchmarkFollowed makes writes that nobody follows, that somebody once did, and that
// somebody does.
func BenchmarkFollowed(b *testing.B) {
	for _, name := range []string{"never", "once", "now"} {
		b.Run(name, func(b *testing.B) {
			l := loopstore.New(loopstore.Options{})
			defer l.Close()
			switch name {
			case "once":
				_, err := l.ChangesCursor(b.Context())
				require.NoError(b, err)
			case "now":
				go func() {
					for _, err := range l.Changes(b.Context(), "") {
						if err != nil {
							return
						}
					}
				}()
			}
			ids := make([]store.RuntimeID, 1000)
			for i := range ids {
				ids[i] = store.RuntimeID(fmt.Sprint("agent-", i))
			}
			for i := 0; b.Loop(); i++ {
				require.NoError(b, l.PersistRuntimeState(b.Context(), ids[i%len(ids)], store.RuntimeIdle))
			}
		})
	}
}
