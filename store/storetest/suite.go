package storetest

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store"
)

// A Factory makes the stores that are tried.
type Factory struct {
	// Open returns an empty store that shares nothing with any other. If it has
	// a method Close() error, the suite closes it.
	Open func(t testing.TB) store.RuntimeStore

	// Reopen returns a store that has what s kept. The suite has closed s, if s
	// has a Close, and does not use it any more. It is nil if a store of this
	// kind cannot be reopened.
	Reopen func(t testing.TB, s store.RuntimeStore) store.RuntimeStore
}

// A chapter is a group of promises. It is skipped if missing, which may be nil,
// returns what it needs and the factory or its stores have not.
type chapter struct {
	name     string
	missing  func(testing.TB, Factory) string
	promises []promise
}

// A promise is tried on a store of its own.
type promise struct {
	words string
	try   func(*trial)
}

// chapters returns the whole suite. Closing is the last one, so that it sees
// what all others left behind.
func chapters() []chapter {
	return []chapter{
		{"values", nil, values()},
		{"operations", nil, operations()},
		{"atomicity", nil, atomicity()},
		{"isolation", nil, isolation()},
		{"privacy", nil, privacy()},
		{"ordering", nil, ordering()},
		{"concurrency", nil, concurrency()},
		{"cancellation", nil, cancellation()},
		{"reopening", cannotReopen, reopening()},
		{"closing", cannotClose, closing()},
	}
}

// Run tries every promise of [store.RuntimeStore], each in a subtest
// chapter/promise with a store of its own. Because it looks for goroutines
// that are left behind, no other test may run at the same time.
func Run(t *testing.T, f Factory) {
	t.Helper()
	require.NotNil(t, f.Open, "storetest: a Factory needs its Open")
	before := goleak.IgnoreCurrent()
	for _, c := range chapters() {
		t.Run(c.name, func(t *testing.T) {
			if c.missing != nil {
				if what := c.missing(t, f); what != "" {
					t.Skipf("%s is not tried: %s", c.name, what)
				}
			}
			for _, p := range c.promises {
				t.Run(p.words, func(t *testing.T) { p.try(newTrial(t, f, before)) })
			}
		})
	}
}

func cannotReopen(_ testing.TB, f Factory) string {
	if f.Reopen == nil {
		return "the Factory has no Reopen"
	}
	return ""
}

func cannotClose(t testing.TB, f Factory) string {
	s := f.Open(t)
	if _, ok := s.(io.Closer); !ok {
		return "the store has no Close"
	}
	require.NoError(t, closeStore(s), "Close")
	return ""
}
