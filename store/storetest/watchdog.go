package storetest

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// watchdog is the name of the function that waits for a promise.
const watchdog = "github.com/loopstore/loopstore/store/storetest.(*suite).try"

// try tries a promise in a goroutine of its own, so that a stuck promise can be
// left behind. A panic fails the promise.
func (s *suite) try(t *testing.T, p promise) {
	t.Helper()
	if s.stuck != "" {
		t.Skipf("skipped, because %q did not end", s.stuck)
	}
	tr := &trial{T: t, suite: s}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer tr.noPanic()
		defer tr.closeAll()
		if !p.noStore {
			tr.open()
		}
		p.try(tr)
	}()
	limit := time.NewTimer(s.factory.Timeout)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
		s.stuck = p.words
		tr.abandon()
		t.Errorf("did not end within %v. All goroutines:\n%s", s.factory.Timeout, allStacks())
	}
}

// noPanic is deferred. It turns a panic into a failure.
func (tr *trial) noPanic() {
	if v := recover(); v != nil {
		tr.Errorf("panicked: %v\n%s", v, debug.Stack())
	}
}

// abandon cuts the trial's goroutines off from the test, which ends without them.
func (tr *trial) abandon() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.abandoned = true
}

// Errorf fails the test. If the trial was abandoned, it ends the goroutine instead.
func (tr *trial) Errorf(format string, args ...any) {
	tr.Helper()
	tr.report(func() { tr.T.Errorf(format, args...) })
}

// FailNow fails the test and ends the goroutine.
func (tr *trial) FailNow() {
	tr.report(tr.Fail)
	runtime.Goexit()
}

func (tr *trial) report(failure func()) {
	tr.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.abandoned {
		runtime.Goexit()
	}
	failure()
}
