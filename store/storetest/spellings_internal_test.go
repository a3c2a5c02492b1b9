package storetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// The digests are literals, so that the suite does not ask the code that it
// tries. This is where they come from.
func TestDigestsOfTheSpellings(t *testing.T) {
	for _, s := range spellings() {
		assert.Equal(t, s.digest, digestOf("["+s.canonical+"]"), "%s: that of its canonical text", s.name)
		for i, snapshot := range s.snapshots() {
			d, err := session.Read(string(snapshot))
			require.NoError(t, err, "%s, spelling %d", s.name, i)
			assert.Equal(t, s.digest, d.HexDigest(), "%s, spelling %d", s.name, i)
		}
	}
}
