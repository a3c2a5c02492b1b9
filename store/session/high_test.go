package session_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// A text that somebody else has made, as high as it may be, grows no higher: a journal
// would refuse it.
func TestAHighTextGrowsNoHigher(t *testing.T) {
	high := session.LeafOf(strings.Repeat("y", session.MaxBytes))
	for floor := range session.MaxFloor {
		parts := make([]*session.Part, 0, session.MaxParts)
		for range session.MaxParts - 1 {
			one := session.LeafOf("x")
			for range floor {
				one = session.ListOf([]*session.Part{one})
			}
			parts = append(parts, one)
		}
		high = session.ListOf(append(parts, high))
	}
	text := session.TextWith(high)
	require.Equal(t, session.MaxFloor, high.Floor())
	want := text.String()
	for range 3 {
		more := strings.Repeat("z", 1<<20)
		text, want = text.Append(more), want+more
		assert.LessOrEqual(t, text.Root().Floor(), session.MaxFloor)
		assert.Equal(t, want, text.String())
	}
}
