package demo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
