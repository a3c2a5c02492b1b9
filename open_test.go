package loopstore

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
)

// slowRecords are records of several batches that take a while to decode.
func slowRecords() []journal.Change {
	var s state.State
	for n := range 1000 {
		input := store.NewInputState(store.InputID{byte(n >> 8), byte(n)}, store.Time{})
		input.PersistedInput = []byte("[" + strings.Repeat("[1],", 500) + "1]")
		s.PutInputState("a", &input)
	}
	s.Settle()
	return slices.Collect(s.Records())
}

// A failing engine emits so many of its records, and then fails.
type failing struct {
	*journaltest.Memory
	records int
}

func (f failing) Open(ctx context.Context, name string, emit func(journal.Change) error) (journal.Journal, error) {
	_, err := f.Memory.Open(ctx, name, func(c journal.Change) error {
		if f.records--; f.records < 0 {
			return errors.New("the engine fails")
		}
		return emit(c)
	})
	return nil, err
}

// What is decoded beside the engine is no longer going on when Open has returned, however
// far it came.
func TestOpeningLeavesNothingRunning(t *testing.T) {
	records := slowRecords()
	synctest.Test(t, func(t *testing.T) {
		engine := journaltest.NewEngine()
		j, err := engine.Open(t.Context(), "", func(journal.Change) error { return nil })
		require.NoError(t, err)
		_, err = j.Append(t.Context(), journal.Batch{Changes: records})
		require.NoError(t, err)
		stacks := make([]byte, 1<<20)
		for emitted := range len(records) {
			if emitted%100 > 0 {
				continue
			}
			_, err := Open(t.Context(), failing{engine, emitted}, "", Options{})
			require.ErrorContains(t, err, "the engine fails")
			running := string(stacks[:runtime.Stack(stacks, true)])
			assert.False(t, strings.Contains(running, "(*record).decode"), "after %d records", emitted)
		}
		l, err := Open(t.Context(), engine, "", Options{})
		require.NoError(t, err)
		assert.Equal(t, 1000, l.Stats().Held.InputStates)
		require.NoError(t, l.Close())
	})
}
