package main

import (
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
	require.EqualValues(t, 250, perSecond(500, 2*time.Second))
	require.Zero(t, perSecond(500, 0))
}
