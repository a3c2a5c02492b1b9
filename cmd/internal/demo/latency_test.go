package demo

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBucketsFollowEachOther(t *testing.T) {
	require.Zero(t, bucketOf(0))
	for b := range bucketCount - 1 {
		last := upperBound(b)
		require.Equal(t, b, bucketOf(last))
		require.Equal(t, b+1, bucketOf(last+1))
	}
	require.Equal(t, bucketCount-1, bucketOf(math.MaxInt64))
	require.EqualValues(t, uint64(math.MaxInt64), upperBound(bucketCount-1))
}

func TestQuantileIsTheSmallestThatCoversItsShare(t *testing.T) {
	var h histogram
	for v := range time.Duration(10) {
		h.observe(v + 1)
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.1: 1, 0.5: 5, 0.9: 9, 0.99: 10, 1: 10} {
		require.Equal(t, want, h.quantile(q), q)
	}
}

func TestQuantileIsAtMostASixteenthTooHigh(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var all, halves [2]histogram
	var values []time.Duration
	for i := range 10_000 {
		v := time.Duration(math.Exp(rng.Float64() * 20))
		values = append(values, v)
		all[0].observe(v)
		halves[i%2].observe(v)
	}
	slices.Sort(values)
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.9999, 1} {
		exact := values[max(0, int(q*float64(len(values))+0.5)-1)]
		got := all[0].quantile(q)
		require.GreaterOrEqual(t, got, exact)
		require.LessOrEqual(t, got, exact+exact/16)
	}
	require.Equal(t, values[len(values)-1], all[0].max)
	halves[0].add(&halves[1])
	require.Equal(t, all[0], halves[0])
	require.Zero(t, all[1].quantile(0.99))
}
