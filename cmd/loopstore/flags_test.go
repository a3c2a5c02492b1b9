package main

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFlagErrorsSayWhatToDo(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel() // so that what is wrongly taken ends at once
	for _, c := range []struct {
		args   []string
		stderr string
	}{
		{[]string{"-nonsense"}, "-nonsense"},
		{[]string{"-runtimes", "0"}, "-runtimes is 0, and must be from 1 to 10000"},
		{[]string{"-runtimes", "10001"}, "-runtimes is 10001, and must be from 1 to 10000"},
		{[]string{"-runtimes", "99999999999"}, "must be from 1 to 10000"},
		{[]string{"-runtimes", "many"}, `invalid value "many"`},
		{[]string{"-callers", "0"}, "-callers is 0, and must be from 1 to 1000"},
		{[]string{"-callers", "1001"}, "-callers is 1001, and must be from 1 to 1000"},
		{[]string{"-turns", "-1"}, "-turns is -1, and must not be negative"},
		{[]string{"-duration", "0s"}, "it must be more than 0"},
		{[]string{"-duration", "-1s"}, "it must be more than 0"},
		{[]string{"-duration", "5"}, "a unit, such as 5s"},
		{[]string{"ex.json", "-duration", "300ms"}, "-duration comes after ex.json, but flags go before files"},
		{[]string{"-turns", "1", "ex.json", "more.json", "-quiet"}, "flags go before files"},
	} {
		code, stdout, stderr := shell(ended, append([]string{"demo"}, c.args...)...)
		require.Equal(t, exitUsage, code, "%q", c.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.stderr, "%q", c.args)
		require.Contains(t, stderr, `"loopstore demo -h" lists the flags`)
	}
}

// parsed returns what the arguments mean. They must be right.
func parsed(t *testing.T, args ...string) (demoFlags, []string) {
	t.Helper()
	var s demoFlags
	files, err := s.parse(args, io.Discard)
	require.NoError(t, err, "%q", args)
	return s, files
}

func TestTurnsEndItUnlessADurationIsGiven(t *testing.T) {
	for _, c := range []struct {
		args []string
		want time.Duration
	}{
		{nil, 5 * time.Second},
		{[]string{"-turns", "0"}, 5 * time.Second},
		{[]string{"-turns", "9"}, 0},
		{[]string{"-turns", "9", "-duration", "5s"}, 5 * time.Second},
		{[]string{"-duration", "1m"}, time.Minute},
	} {
		s, _ := parsed(t, c.args...)
		require.Equal(t, c.want, s.Duration, "%q", c.args)
	}
}

func TestCallersAreNoMoreThanRuntimes(t *testing.T) {
	for _, c := range []struct {
		args    []string
		callers int
		note    string
	}{
		{nil, 8, ""},
		{[]string{"-runtimes", "2"}, 2, ""},
		{[]string{"-callers", "1000", "-runtimes", "1000"}, 1000, ""},
		{[]string{"-callers", "1000", "-runtimes", "2"}, 2, "2 callers, not 1000: "},
		{[]string{"-callers", "3", "-runtimes", "1"}, 1, "1 caller, not 3: "},
	} {
		s, _ := parsed(t, c.args...)
		require.Equal(t, c.callers, s.Callers, "%q", c.args)
		if c.note == "" {
			require.Empty(t, s.notes, "%q", c.args)
			continue
		}
		require.Len(t, s.notes, 1)
		require.Contains(t, s.notes[0], c.note)
	}
	_, _, stderr := shell(t.Context(), "demo", "-callers", "1000", "-runtimes", "2", "-turns", "1", "-quiet")
	require.Contains(t, stderr, "note: 2 callers, not 1000: ")
}

func TestAnythingAfterTwoDashesIsAFile(t *testing.T) {
	_, files := parsed(t, "-quiet", "--", "-odd.json", "ex.json")
	require.Equal(t, []string{"-odd.json", "ex.json"}, files)
	_, files = parsed(t, "ex.json", "more.json")
	require.Equal(t, []string{"ex.json", "more.json"}, files)
}
