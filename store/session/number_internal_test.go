package session

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An exponent of any size is read as one, also where an int has 32 bits.
func TestAnExponentOfAnySizeIsRead(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "+308": 308, "-324": -324, "2147483647": 1<<31 - 1, "-2147483647": 1 - 1<<31,
		"2147483648": hugeExponent, "-2147483648": -hugeExponent, "4294967296": hugeExponent, "4294967297": hugeExponent,
		"-4294967297": -hugeExponent, "99999999999": hugeExponent, "-18446744073709551617": -hugeExponent,
	} {
		require.Equal(t, want, readExponent([]byte(text)), text)
	}
}
