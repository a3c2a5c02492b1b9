package main

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/store"
)

// quick makes a bench end at once.
var quick = []string{"bench", "-rounds", "2", "-time", "1ns", "-only", "^hand_off|^operation=load_runtime_state|^reader"}

func TestBenchComparesTheLoopToLocks(t *testing.T) {
	code, stdout, stderr := shell(t.Context(), quick...)
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `, go1\..*, GOMAXPROCS \d+, 20\d\d-\d\d-\d\d \d\d:\d\d\n`, stdout)
	require.Regexp(t, `(?m)^time per operation +loop +allocs +mutex +ratio +allocs +in hand-offs$`, stdout)
	require.Regexp(t, `(?m)^hand_off/callers=64 +1 = [\d.]+ [nµm]?s$`, stdout)
	require.Regexp(t, `(?m)^operation=load_runtime_state/callers=8 +[\d.]+ [nµm]?s +\d+ +[\d.]+ [nµm]?s +[\d.]+x +\d+( +[\d.]+)?$`, stdout)
	require.Contains(t, stdout, "\nreader by its reader: loop\nreader by LoadRuntimeState: mutex\n")
	require.Contains(t, stderr, "round 2 of 2: reader\n")
}

func TestBenchPrintsLinesForBenchstat(t *testing.T) {
	code, stdout, stderr := shell(t.Context(), append(quick, "-quiet", "-benchstat")...)
	require.Equal(t, cli.OK, code)
	require.Empty(t, stderr)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Equal(t, 2*(3+3*2+3*2), strings.Count(stdout, "\nBenchmarkStore/"))
	require.Regexp(t, `^BenchmarkStore/reader/callers=64/subject=mutex(-\d+)?\t\d+\t[\d.]+ ns/op\t\d+ B/op\t\d+ allocs/op$`, lines[len(lines)-1])
	require.NotContains(t, stdout, "in hand-offs")
}

func TestBenchIsToldWhatIsWrong(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel() // so that what is wrongly taken ends at once
	for _, c := range []struct {
		args   []string
		stderr string
	}{
		{[]string{"-nonsense"}, "-nonsense"},
		{[]string{"-rounds", "0"}, "-rounds is 0, and must be from 1 to 1000"},
		{[]string{"-rounds", "1001"}, "-rounds is 1001, and must be from 1 to 1000"},
		{[]string{"-time", "0s"}, "-time is 0s, and must be more than 0 and at most 1m0s"},
		{[]string{"-time", "61s"}, "-time is 1m1s, and must be more than 0"},
		{[]string{"-time", "5"}, "--time: it is no value of type duration"},
		{[]string{"-only", "("}, "missing closing )"},
		{[]string{"-only", "nonsense"}, "it matches no cell's name"},
		{[]string{"all"}, "it takes no arguments but flags, not 1"},
	} {
		code, stdout, stderr := shell(ended, append([]string{"bench"}, c.args...)...)
		require.Equal(t, cli.ExitMisuse, code, "%q", c.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.stderr)
		require.Contains(t, stderr, "loopstore bench: ")
	}
}

func TestHelpNamesEveryKindOfCell(t *testing.T) {
	code, help, _ := shell(t.Context(), "bench", "-h")
	require.Equal(t, cli.OK, code)
	_, cells, _ := strings.Cut(help, "\ncells, ")
	for _, name := range measure.CellNames() {
		kind := regexp.MustCompile(`^(commit=\w+|[a-z_]+)`).FindString(name)
		require.Regexp(t, `(?m)^    `+kind+`[= ]`, cells)
	}
}

func TestBenchPrintsWhatWasMeasuredBeforeItWasInterrupted(t *testing.T) {
	for cause, code := range map[error]int{nil: cli.ExitInterrupted, cli.ErrTerminated: cli.ExitTerminated} {
		ctx, cancel := context.WithCancelCause(t.Context())
		rounds := 0
		subject := measure.Subject{Name: "loop", Open: func() (store.RuntimeStore, error) {
			if rounds++; rounds == 2 {
				cancel(cause)
			}
			return benchSubjects()[1].Open()
		}}
		cfg := measure.Config{Time: time.Nanosecond, Only: regexp.MustCompile("^batch")}
		got, stdout, stderr := benched(ctx, cfg, subject)
		require.Equal(t, code, got)
		require.Equal(t, "interrupted; what was measured until then:\n", stderr)
		require.Regexp(t, `(?m)^batch/writes=64 +[\d.]+ `, stdout)
	}
}

func TestBenchFailsWhereACallFails(t *testing.T) {
	broken := measure.Subject{Name: "broken", Open: func() (store.RuntimeStore, error) { return nil, errors.New("no disk") }}
	cfg := measure.Config{Time: time.Nanosecond, Only: regexp.MustCompile("^batch")}
	code, _, stderr := benched(t.Context(), cfg, broken)
	require.Equal(t, cli.ExitFailed, code)
	require.Equal(t, "loopstore bench: measure: batch/writes=64 of broken: opening it: no disk\n", stderr)
}

// benched runs bench with a subject.
func benched(ctx context.Context, cfg measure.Config, subject measure.Subject) (code int, stdout, stderr string) {
	bench := &cobra.Command{Use: "bench", RunE: func(cmd *cobra.Command, _ []string) error {
		return new(benchSettings).report(cmd, cfg, []measure.Subject{subject})
	}}
	root := &cobra.Command{Use: "loopstore"}
	root.AddCommand(bench)
	var out, err strings.Builder
	code = cli.Run(ctx, root, []string{"bench"}, nil, &out, &err)
	return code, out.String(), err.String()
}
