package storetest

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/loopstore/loopstore"
)

// New returns a loop that is closed when the test ends. The test fails if
// Close returns an error, or if the loop's goroutine is there after it. At most
// one Options may be given. It works in tests that run in parallel, and in a
// synctest bubble.
func New(t testing.TB, opts ...loopstore.Options) *loopstore.Loop {
	t.Helper()
	var opt loopstore.Options
	switch len(opts) {
	case 0:
	case 1:
		opt = opts[0]
	default:
		t.Fatalf("storetest.New: %d Options, at most one may be given", len(opts))
	}
	before := startedHere()
	loop := loopstore.New(opt)
	own := startedHere()
	for id := range before {
		delete(own, id)
	}
	t.Cleanup(func() {
		t.Helper()
		if err := loop.Close(); err != nil {
			t.Errorf("storetest.New: closing the loop: %v", err)
		}
		if left := stillThere(own); left != "" {
			t.Errorf("storetest.New: the loop is closed, and its goroutine is still there:\n%s", left)
		}
	})
	return loop
}

// goroutines returns the stack of every goroutine by its number. goleak tells
// goroutines apart too, but not those of tests that run in parallel.
func goroutines() map[string]string {
	buffer := make([]byte, 1<<16)
	n := runtime.Stack(buffer, true)
	for ; n == len(buffer); n = runtime.Stack(buffer, true) {
		buffer = make([]byte, 2*len(buffer))
	}
	all := map[string]string{}
	for stack := range strings.SplitSeq(string(buffer[:n]), "\n\n") {
		if number, _, ok := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " "); ok {
			all[number] = stack
		}
	}
	return all
}

// startedHere returns the goroutines that loopstore.New has started for the
// goroutine that asks.
func startedHere() map[string]string {
	buffer := make([]byte, 64)
	me, _, _ := strings.Cut(strings.TrimPrefix(string(buffer[:runtime.Stack(buffer, false)]), "goroutine "), " ")
	all := goroutines()
	for number, stack := range all {
		if !strings.Contains(stack+"\n", "loopstore/loopstore.New in goroutine "+me+"\n") {
			delete(all, number)
		}
	}
	return all
}

// stillThere returns the stacks of those of the goroutines that do not end.
func stillThere(own map[string]string) string {
	var left []string
	for try := range 20 { // one that has closed its channel may have a step to go
		left = nil
		for number, stack := range goroutines() {
			if _, ok := own[number]; ok {
				left = append(left, stack)
			}
		}
		if left == nil {
			return ""
		}
		time.Sleep(min(time.Microsecond<<try, 100*time.Millisecond))
	}
	return strings.Join(left, "\n\n")
}
