//go:build !race

package session_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// Large texts whose parts all look alike are changed in one pass. One that compared
// all with all would not end.
func TestTextOfEqualParts(t *testing.T) {
	for name, of := range map[string]struct {
		text string
		most int // new bytes of a text with a change in front
	}{
		"equal bytes": {strings.Repeat("a", 64<<20), 128 << 10},
		"equal ends":  {strings.Repeat(strings.Repeat("a", 9000)+strings.Repeat("b", 64), 2000), 32 << 20}, // all is compared that may be, and then copied
	} {
		t.Run(name, func(t *testing.T) {
			text := session.TextOf(of.text)
			isTree(t, text)
			for _, next := range []string{"1" + of.text, of.text[1:], of.text + "a", strings.Repeat("a", 60_000) + "c" + of.text} {
				changed := text.Replace(next)
				isTree(t, changed)
				require.True(t, next == changed.String())
				require.LessOrEqual(t, fresh(text, changed), of.most)
			}
			other := strings.Repeat(strings.Repeat("a", session.MaxBytes-1)+"c", 1000)
			changed := text.Replace(other)
			isTree(t, changed)
			require.True(t, other == changed.String())
			require.True(t, text.Append("1").Equal(session.TextOf(of.text+"1")))
		})
	}
}

// What is wholly different takes its own bytes, and no more steps than they need.
func TestTextReplacedByAnother(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	a, b := bytesLike(r, "words", 8<<20), bytesLike(r, "words", 8<<20)
	text := session.TextOf(a)
	parts := float64(session.TextOf(b).Root().Count())
	allocs := testing.AllocsPerRun(1, func() { text.Replace(b) })
	t.Logf("%.1f allocations for a part", allocs/parts)
	assert.LessOrEqual(t, allocs, 3*parts+100)
	assert.Equal(t, len(b), fresh(text, text.Replace(b)))
}
