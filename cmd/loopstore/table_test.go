package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNumbersAreReadable(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567"} {
		require.Equal(t, want, grouped(n))
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 999_600: "1ms", 45_678_901: "45.7ms", 5*time.Second + 6789*time.Microsecond: "5.01s",
	} {
		require.Equal(t, want, brief(d))
	}
	for n, want := range map[int64]string{0: "0 turns", 1: "1 turn", 2: "2 turns", 1234: "1,234 turns"} {
		require.Equal(t, want, counted(n, "turn"))
	}
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1 KB", 999_999: "999 KB", 1_000_000: "1 MB", 2_345_678_901: "2,345 MB",
	} {
		require.Equal(t, want, size(n))
	}
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
		{2, "\n2 callers on 1 CPU: p99 and max are mostly waiting for a CPU, see -callers 1\n", "0 MB"},
	} {
		r := &report{Runtimes: c.n, Callers: c.n, GOMAXPROCS: 1, Turns: int64(c.n), SnapshotBytes: 4386, Verified: newChecker(nil).checks}
		var table strings.Builder
		require.NoError(t, r.writeTable(&table))
		require.Contains(t, table.String(), c.part)
		require.NotContains(t, table.String(), c.other)
	}
}
