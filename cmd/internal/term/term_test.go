package term_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/cmd/internal/term"
)

func TestNumbersAreReadable(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567"} {
		require.Equal(t, want, term.Grouped(n))
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 999_600: "1ms", 45_678_901: "45.7ms", 5*time.Second + 6789*time.Microsecond: "5.01s",
	} {
		require.Equal(t, want, term.Brief(d))
	}
	for n, want := range map[int64]string{0: "0 turns", 1: "1 turn", 2: "2 turns", 1234: "1,234 turns"} {
		require.Equal(t, want, term.Counted(n, "turn"))
	}
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1 KB", 999_999: "999 KB", 1_000_000: "1 MB", 2_345_678_901: "2,345 MB",
	} {
		require.Equal(t, want, term.Size(n))
	}
}
