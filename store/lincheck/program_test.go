package lincheck_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/lincheck"
	"github.com/loopstore/loopstore/store/locked"
	"github.com/loopstore/loopstore/store/state"
)

// TestModel runs random programs on a Loop, and on a State behind a lock, and compares
// each answer with the model's. Some keep versions of sessions.
func TestModel(t *testing.T) {
	t.Run("Loop", rapid.MakeCheck(checkLoop))
	t.Run("State", rapid.MakeCheck(func(t *rapid.T) {
		cfg := drawConfig(t)
		lincheck.CheckProgram(t, func() store.RuntimeStore {
			opts := optionsOf(cfg)
			return locked.New(&state.State{Retention: opts.Retention, UniqueKeys: opts.UniqueKeys, Tombstones: opts.Tombstones})
		}, cfg)
	}))
}

// drawConfig draws what a store keeps.
func drawConfig(t *rapid.T) lincheck.Config {
	return lincheck.Config{
		Versions:   rapid.SampledFrom([]int{0, 3}).Draw(t, "versions"),
		UniqueKeys: rapid.Bool().Draw(t, "unique keys"),
		Keys:       rapid.SampledFrom([]int{0, 2}).Draw(t, "keys"),
		Tombstones: rapid.SampledFrom([]int{0, 2}).Draw(t, "tombstones"),
	}
}

// optionsOf returns the options of a loop that keeps what a Config says.
func optionsOf(cfg lincheck.Config) loopstore.Options {
	return loopstore.Options{
		Retention:  store.Retention{Sessions: store.Keep{Last: cfg.Versions}, Keys: store.Keep{Last: cfg.Keys}},
		UniqueKeys: cfg.UniqueKeys,
		Tombstones: store.Keep{Last: cfg.Tombstones},
		Queue:      cfg.Queue,
	}
}

func checkLoop(t *rapid.T) {
	cfg := drawConfig(t)
	lincheck.CheckProgram(t, func() store.RuntimeStore { return loopstore.New(optionsOf(cfg)) }, cfg)
}

// retaining returns what keeps so many versions of a session.
func retaining(versions int) store.Retention {
	return store.Retention{Sessions: store.Keep{Last: versions}}
}

// A sorting store returns inputs by id, not in the order in which they were stored.
type sorting struct{ *locked.Store }

func (s *sorting) LoadInputStates(ctx context.Context, id store.RuntimeID) ([]store.InputState, error) {
	states, err := s.Store.LoadInputStates(ctx, id)
	slices.SortFunc(states, func(a, b store.InputState) int { return bytes.Compare(a.InputID[:], b.InputID[:]) })
	return states, err
}

// A plainStore has only the ten operations of a store.
type plainStore struct{ store.RuntimeStore }

// A rapidListener is a test that may fail, in the form that rapid needs.
type rapidListener struct {
	*testing.T
	failed bool
	lines  []string
}

func (l *rapidListener) Logf(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}
func (l *rapidListener) Log(args ...any) { l.lines = append(l.lines, fmt.Sprint(args...)) }
func (l *rapidListener) Errorf(format string, args ...any) {
	l.failed = true
	l.Logf(format, args...)
}
func (l *rapidListener) Error(args ...any)                 { l.Errorf("%s", fmt.Sprint(args...)) }
func (l *rapidListener) Fatalf(format string, args ...any) { l.Errorf(format, args...); panic(l) }
func (l *rapidListener) Fatal(args ...any)                 { l.Fatalf("%s", fmt.Sprint(args...)) }
func (l *rapidListener) FailNow()                          { l.failed = true; panic(l) }
func (l *rapidListener) Fail()                             { l.failed = true }
func (l *rapidListener) Failed() bool                      { return l.failed }

// falsify has rapid check a property that does not hold, and returns what rapid logged.
func falsify(t *testing.T, property func(*rapid.T)) *rapidListener {
	for name, values := range map[string][2]string{
		"rapid.nofailfile": {"true", "false"},
		"rapid.seed":       {"1", "0"}, // how far a program shrinks depends on the seed
		"rapid.checks":     {"2000", strconv.Itoa(programs)},
	} {
		require.NoError(t, flag.Set(name, values[0]))
		t.Cleanup(func() { assert.NoError(t, flag.Set(name, values[1])) })
	}
	l := &rapidListener{T: t}
	assert.PanicsWithValue(t, l, func() { rapid.Check(l, property) })
	return l
}

// TestFailingProgramsShrink shows that a program of some thirty calls shrinks to hardly
// more than the defect needs: two inputs, the second with the lower id. Programs with
// batches shrink less reliably, so there are none.
func TestFailingProgramsShrink(t *testing.T) {
	l := falsify(t, func(t *rapid.T) {
		lincheck.CheckProgram(t, func() store.RuntimeStore { return plainStore{&sorting{locked.New(new(state.State))}} }, lincheck.Config{})
	})
	t.Log(strings.Join(l.lines, "\n"))

	start := slices.IndexFunc(l.lines, func(line string) bool { return strings.Contains(line, "draw program") })
	require.GreaterOrEqual(t, start, 0)
	var program []string
	for _, line := range l.lines[start+1:] {
		call, _, made := strings.Cut(line, " → ")
		if !made {
			break
		}
		program = append(program, call)
	}
	assert.LessOrEqual(t, len(program), 3, "one or two writes, and perhaps a load")
	assert.LessOrEqual(t, len(inputs.FindAllString(strings.Join(program, " "), -1)), 4)
	assert.Contains(t, l.lines[len(l.lines)-1], "the model answers [")
}

// inputs matches the input states in a program's text. Receipts have a slash before the
// equals sign.
var inputs = regexp.MustCompile(`…[0-9a-f]{2}=mark-`)
