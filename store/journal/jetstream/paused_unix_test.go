//go:build unix

package jetstream_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// A holder that is stopped, and goes on after another has taken over, appends
// nothing more, and says so.
func TestHolderIsPausedAndResumed(t *testing.T) {
	prefix := newPrefix()
	h := startHolder(t, prefix)
	last, _ := h.said(t, 100)
	require.NoError(t, h.Process.Signal(syscall.SIGSTOP))
	l := openLoop(t, newEngine(t, shared, jetstream.Options{Prefix: prefix}), "p")
	for n := range 100 {
		require.NoError(t, l.PersistRuntimeState(t.Context(), store.RuntimeID(fmt.Sprint(n)), store.RuntimeIdle))
	}
	require.NoError(t, h.Process.Signal(syscall.SIGCONT))
	more, refusal := h.said(t, 1<<30)
	require.Contains(t, refusal, "fenced by another holder")
	found := checkInputs(t, l, max(last, more))
	require.NoError(t, l.Close())
	l = openLoop(t, newEngine(t, shared, jetstream.Options{Prefix: prefix}), "p")
	require.Equal(t, found, checkInputs(t, l, found-1), "something came after the take-over")
	require.NoError(t, l.Close())
}
