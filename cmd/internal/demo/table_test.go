package demo

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

func TestARateIsPerSecond(t *testing.T) {
	require.EqualValues(t, 250, perSecond(500, 2*time.Second))
	require.Zero(t, perSecond(500, 0))
}

func TestTableTellsOneFromMany(t *testing.T) {
	for _, c := range []struct {
		n           int
		part, other string
	}{
		{1, "1 runtime, 1 caller, GOMAXPROCS 1: 1 turn in 0s\n", "waiting for a CPU"},
		{2, "2 runtimes, 2 callers, GOMAXPROCS 1: 2 turns in 0s\n", "1 turn "},
		{2, "\n2 callers on 1 CPU: p99 and max are mostly waiting for a CPU, see --callers 1\n", "0 MB"},
	} {
		r := &Report{Runtimes: c.n, Callers: c.n, GOMAXPROCS: 1, Turns: int64(c.n), SnapshotBytes: 4386, Verified: newChecker(nil).checks}
		var table strings.Builder
		require.NoError(t, r.WriteTable(&table))
		require.Contains(t, table.String(), c.part)
		require.NotContains(t, table.String(), c.other)
	}
}

func TestAnErrorIsAFailure(t *testing.T) {
	r := &Report{OK: true, Interrupted: true, Verified: newChecker(nil).checks}
	r.fail(nil)
	require.True(t, r.OK)
	r.fail(errors.New("a call went wrong"))
	require.False(t, r.OK)
	var table strings.Builder
	require.NoError(t, r.WriteTable(&table))
	require.Contains(t, table.String(), "turns in 0s, interrupted\n")
	require.Contains(t, table.String(), "FAILED a call went wrong\n")
	require.True(t, strings.HasSuffix(table.String(), "\nFAILED\n"))
}

// TestTableFitsATerminal runs each kind of demo, and looks at what it prints.
func TestTableFitsATerminal(t *testing.T) {
	documents, err := ReadDocuments(t.Context(), nil)
	require.NoError(t, err)
	loop, err := loopstore.Open(t.Context(), journaltest.NewEngine(), "demo", loopstore.Options{})
	require.NoError(t, err)
	defer loop.Close()
	var r *Report
	for range 2 {
		r = Run(t.Context(), Settings{Runtimes: 100, Turns: 30, Callers: 100, Documents: documents}, loop, io.Discard)
	}
	require.True(t, r.OK, r.Failures)
	var table strings.Builder
	require.NoError(t, r.WriteTable(&table))
	for line := range strings.Lines(table.String()) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
	}
}
