package jetstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Tries that are lost while a leader is elected follow each other faster than one may
// take, and in the end one has all its time again.
func TestTriesFollowEachOtherFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPause()
		require.Equal(t, 2*time.Second, p.try(2*time.Second))
		for range hasty - 1 {
			require.True(t, p.wait(t.Context()))
			require.Equal(t, 500*time.Millisecond, p.try(2*time.Second))
			require.Equal(t, leastTry, p.try(600*time.Millisecond))
			require.Equal(t, time.Millisecond, p.try(time.Millisecond))
		}
		require.True(t, p.wait(t.Context()))
		require.Equal(t, 2*time.Second, p.try(2*time.Second))
	})
}
