package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/loopstore/loopstore"
)

// New returns a loop that is closed when the test ends. The test fails if Close
// returns an error or leaves the loop's goroutine behind. At most one Options may be
// given; with a Journal, the loop is opened from it. New works in tests that run in
// parallel, and in a synctest bubble.
func New(t testing.TB, opts ...loopstore.Options) *loopstore.Loop {
	t.Helper()
	var opt loopstore.Options
	switch len(opts) {
	case 0:
	case 1:
		opt = opts[0]
	default:
		t.Fatalf("storetest.New: %d Options were given, at most one may be", len(opts))
	}
	loop, err := loopstore.Open(t.Context(), opt)
	if err != nil {
		t.Fatalf("storetest.New: %v", err)
	}
	t.Cleanup(func() {
		t.Helper()
		if err := loop.Close(); err != nil {
			t.Errorf("storetest.New: closing the loop: %v", err)
		}
		if left := stillThere(loop); left != "" {
			t.Errorf("storetest.New: the loop is closed, but its goroutine is still there:\n%s", left)
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
