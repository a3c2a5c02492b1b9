package inspect

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// Who asked just before the list came to its end is shown the last one, and no empty store.
func TestListThatEndsIsNotEmpty(t *testing.T) {
	f := &following{moved: make(chan struct{})}
	f.publish(map[store.RuntimeID]*entry{"a": newEntry(state.RuntimeSummary{RuntimeID: "a", Version: 1}, nil)}, nil)
	f.publish(nil, store.ErrClosed)
	_, err := f.next(t.Context(), "1.1")
	require.ErrorIs(t, err, store.ErrClosed)
	f.answer("", func(entries []*entry, mark string, _ *answer) {
		require.Len(t, entries, 1)
		require.Equal(t, "1.1", mark)
	})
}
