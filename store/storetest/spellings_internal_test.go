package storetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// The suite has the digests as literals, so that it does not ask the code under test
// for them. This checks the literals.
func TestDigestsOfTheSpellings(t *testing.T) {
	for _, s := range spellings() {
		assert.Equal(t, s.digest, digestOf("["+s.canonical+"]"), "%s: the digest of its canonical text", s.name)
		for i, snapshot := range s.snapshots() {
			d, err := session.Read(string(snapshot))
			require.NoError(t, err, "%s, spelling %d", s.name, i)
			assert.Equal(t, s.digest, d.HexDigest(), "%s, spelling %d", s.name, i)
		}
	}
}
