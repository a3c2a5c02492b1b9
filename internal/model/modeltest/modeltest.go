// Package modeltest has what the tests of all models share.
package modeltest

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/model"
)

// most is far more states than a protocol of these tests has.
const most = 100_000_000

var states = flag.Int("states", 0, "explore larger protocols, up to so many states of each")

// Holds expects a protocol to keep its promises, in all of its states.
func Holds[P fmt.Stringer](t *testing.T, p P, explore func(p P, most int) model.Report) model.Report {
	t.Helper()
	r := holds(t, p, explore, most)
	require.Less(t, r.Visited, most, "not all was explored")
	return r
}

// HoldLarger is Holds for larger protocols, up to as many states as the flag says.
func HoldLarger[P fmt.Stringer](t *testing.T, explore func(p P, most int) model.Report, larger ...P) {
	t.Helper()
	if *states == 0 {
		t.Skip("without -states")
	}
	for _, p := range larger {
		holds(t, p, explore, *states)
	}
}

func holds[P fmt.Stringer](t *testing.T, p P, explore func(p P, most int) model.Report, most int) model.Report {
	t.Helper()
	began := time.Now()
	r := explore(p, most)
	t.Logf("%v: %d states, %d visited, %d steps, %v", p, r.States, r.Visited, r.Steps, time.Since(began).Round(time.Millisecond))
	require.Empty(t, r.Violation, "%s", strings.Join(r.Trace, "\n"))
	return r
}

// Documented expects the numbers of states in docs/design.md.
func Documented(t *testing.T, numbers ...int) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/design.md")
	require.NoError(t, err)
	for _, n := range numbers {
		digits := strconv.Itoa(n)
		for at := len(digits) - 3; at > 0; at -= 3 {
			digits = digits[:at] + "," + digits[at:]
		}
		assert.Contains(t, string(text), digits)
	}
}

// A Rule is what breaks when a rule of a protocol P is left out.
type Rule[P any] struct {
	in     P
	broken string
}

// Breaks names the promise that breaks, and a protocol that shows it. ""
// stands for none: the rule is not for safety.
func Breaks[P any](in P, promise string) Rule[P] { return Rule[P]{in, promise} }

// Rules expects of each field of P's field Without, the rules, that leaving it out breaks
// what it is said to break.
func Rules[P any](t *testing.T, rules map[string]Rule[P], explore func(p P, most int) model.Report) {
	t.Helper()
	all, ok := reflect.TypeFor[P]().FieldByName("Without")
	require.True(t, ok)
	assert.Len(t, rules, all.Type.NumField())
	for without, rule := range rules {
		t.Run(without, func(t *testing.T) {
			p := rule.in
			left := reflect.ValueOf(&p).Elem().FieldByName("Without").FieldByName(without)
			require.True(t, left.IsValid())
			left.SetBool(true)
			r := explore(p, most)
			require.Less(t, r.Visited, most)
			t.Logf("%d states, %d steps: %s\n%s", r.Visited, len(r.Trace), r.Violation, strings.Join(r.Trace, "\n"))
			assert.Equal(t, rule.broken, r.Violation)
			assert.Equal(t, rule.broken == "", len(r.Trace) == 0)
		})
	}
}
