// Package clustertest tests any [cluster.Directory]: one call of [Run] tries every
// promise that package cluster builds on.
//
//	func TestDirectory(t *testing.T) {
//		clustertest.Run(t, clustertest.Factory{
//			Open: func(t testing.TB) func(name string) (cluster.Directory, error) {
//				database := newDatabase(t)
//				return func(name string) (cluster.Directory, error) { return database.Directory(name) }
//			},
//		})
//	}
//
// That package's own directory in memory passes it, and those of the JetStream and
// PostgreSQL engines. It needs a directory that is well: what a directory does when its
// servers fail is for its own tests.
package clustertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
)

// A Factory makes the directories that [Run] tests.
type Factory struct {
	// Open returns a place without documents. The function that it returns is called
	// by the tests for a handle of the document of a name, as a member would have:
	// two handles of one name are of one document. Where it can, it should make them
	// on connections of their own, to different servers. A name that cannot be one is
	// an error.
	Open func(t testing.TB) func(name string) (cluster.Directory, error)

	// Timeout bounds the test of one promise: the context of all its calls ends
	// then. 0 means two minutes.
	Timeout time.Duration
}

// A promise is tested in a place of its own.
type promise struct {
	words string
	try   func(*trial)
}

// promises returns the whole suite.
func promises() []promise {
	return []promise{
		{"there is no document before the first write", absent},
		{"of many who create it one does", createdOnce},
		{"a write replaces the revision that it names, and no other", replaced},
		{"of many who replace a revision one does, and the others change nothing", raced},
		{"no revision is used twice", revisions},
		{"a read sees the last write that has returned, or a later one", fresh},
		{"the document is copied in and out", copied},
		{"the document is any bytes, none too", anyBytes},
		{"a document as large as clusters need is taken", large},
		{"a document is stored whole, or refused", tooLarge},
		{"a call with an ended context returns its error, and writes nothing", ended},
		{"a name is a document of its own, or is refused", names},
	}
}

// Run tests every promise, each in a subtest of its words.
func Run(t *testing.T, f Factory) {
	t.Helper()
	require.NotNil(t, f.Open, "clustertest: a Factory needs its Open")
	if f.Timeout <= 0 {
		f.Timeout = 2 * time.Minute
	}
	for _, p := range promises() {
		t.Run(p.words, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("clustertest: the rule is: %s", p.words)
				}
			}()
			p.try(newTrial(t, f))
		})
	}
}
