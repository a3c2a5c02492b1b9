package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/journal"
)

// New returns a loop that is closed when the test ends. The test fails if
// Close returns an error, or if the loop's goroutine is there after it. At most
// one Options may be given. It works in tests that run in parallel, and in a
// synctest bubble.
func New(t testing.TB, opts ...loopstore.Options) *loopstore.Loop {
	t.Helper()
	return closedAtEnd(t, loopstore.New(one(t, opts)))
}

// Open is like New for a loop with a journal: a partition of an engine.
func Open(t testing.TB, engine journal.Engine, partition string, opts ...loopstore.Options) *loopstore.Loop {
	t.Helper()
	loop, err := loopstore.Open(t.Context(), engine, partition, one(t, opts))
	if err != nil {
		t.Fatalf("storetest.Open: %v", err)
	}
	return closedAtEnd(t, loop)
}

// one returns the Options that were given, or the zero value.
func one(t testing.TB, opts []loopstore.Options) (opt loopstore.Options) {
	t.Helper()
	if len(opts) > 1 {
		t.Fatalf("storetest: %d Options, at most one may be given", len(opts))
	}
	if len(opts) == 1 {
		opt = opts[0]
	}
	return opt
}

func closedAtEnd(t testing.TB, loop *loopstore.Loop) *loopstore.Loop {
	t.Cleanup(func() {
		t.Helper()
		if err := loop.Close(); err != nil {
			t.Errorf("storetest: closing the loop: %v", err)
		}
		if left := stillThere(loop); left != "" {
			t.Errorf("storetest: the loop is closed, and its goroutine is still there:\n%s", left)
		}
	})
	return loop
}

// stillThere returns the stack of the loop's goroutine if it does not end. goleak
// cannot do this: it cannot tell the goroutine from those of parallel tests.
func stillThere(loop *loopstore.Loop) (stack string) {
	for try := range 20 { // after closing its channel it may have a step to go
		if stack = ownerOf(loop); stack == "" {
			return ""
		}
		time.Sleep(min(time.Microsecond<<try, 100*time.Millisecond))
	}
	return stack
}

// ownerOf finds the goroutine's stack by the address of its loop, "" if there is none.
// It reads the stacks of all goroutines.
func ownerOf(loop *loopstore.Loop) string {
	for _, owner := range []string{"own", "ownDurable"} {
		own := fmt.Sprintf("loopstore/loopstore.(*Loop).%s(%p", owner, loop)
		for _, stack := range goroutines() {
			if _, rest, ok := strings.Cut(stack, own); ok && strings.ContainsAny(rest[:1], ")?,") {
				return stack
			}
		}
	}
	return ""
}
