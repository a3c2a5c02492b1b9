package storetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

// aDeadlinePasses is a test in a bubble. Its minute passes at once when every
// goroutine of the bubble waits.
func aDeadlinePasses(t *testing.T) {
	loop := storetest.New(t) // closed when the test ends
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	go func() {
		<-ctx.Done()
		err := loop.PersistRuntimeState(ctx, "agent-1", store.RuntimeRunning)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the deadline has passed, but the error is %v", err)
		}
	}()
	time.Sleep(time.Minute)
	synctest.Wait()

	_, ok, err := loop.LoadRuntimeState(t.Context(), "agent-1")
	if ok || err != nil {
		t.Errorf("stored: %v, error: %v", ok, err)
	}
}

// A test of your own is func TestDeadline(t *testing.T) with this one line.
func ExampleNew() {
	var t *testing.T // from go test

	if t != nil {
		synctest.Test(t, aDeadlinePasses)
	}
}
