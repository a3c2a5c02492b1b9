package storetest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests, then looks for goroutines that they left, and
// exits. Call it in TestMain:
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
//
// It is goleak.VerifyTestMain with a hint at a loop whose Close was forgotten.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := findLeaks(); err != nil {
			fmt.Fprintf(os.Stderr, "storetest: the tests passed, but left something behind: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}

// VerifyNoLeaks fails the test if a goroutine that was started after this call
// is there when the test has ended, with a hint at a loop whose Close was
// forgotten. Call it first, since what is registered later with t.Cleanup is
// done before it looks. It is not for tests that run in parallel: use [Main].
func VerifyNoLeaks(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		t.Helper()
		if err := findLeaks(before); err != nil {
			t.Errorf("storetest: the test left something behind: %v", err)
		}
	})
}

// findLeaks is goleak.Find with a hint.
func findLeaks(opts ...goleak.Option) error {
	err := goleak.Find(opts...)
	if err != nil && strings.Contains(err.Error(), "loopstore/loopstore.(*Loop).own") {
		return fmt.Errorf("a loopstore.Loop was not closed: call its Close\n%w", err)
	}
	return err
}
