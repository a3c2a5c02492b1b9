package storetest

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests and exits. If the tests pass, it also looks for
// goroutines that they left behind, and fails if there are any. Call it in TestMain:
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
//
// It is goleak.VerifyTestMain that also points out a loop whose Close was forgotten.
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

// VerifyNoLeaks fails the test if a goroutine that started after this call is still
// there when the test has ended. It points out a loop whose Close was forgotten. Call
// it first: the functions that are registered with t.Cleanup later then run before it
// looks. In tests that run in parallel, use [Main] instead.
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

// startOfStack matches where a goroutine begins in goleak's text.
var startOfStack = regexp.MustCompile(`(?m)^ ?\[?Goroutine \d+ in state `)

// findLeaks is goleak.Find with a hint at a forgotten Close, and each stack once.
func findLeaks(opts ...goleak.Option) error {
	err := goleak.Find(opts...)
	if err == nil {
		return nil
	}
	text := err.Error()
	starts := startOfStack.FindAllStringIndex(text, -1)
	stacks := make([]string, len(starts))
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		stacks[i] = strings.TrimSuffix(text[at[0]:end], "]")
	}
	hint := ""
	if strings.Contains(text, "loopstore/loopstore.(*Loop).own") {
		hint = "a loopstore.Loop was not closed: call its Close\n"
	}
	return fmt.Errorf("%s%d goroutines\n%s", hint, len(stacks), grouped(stacks))
}
