package demo

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets, 16 for every power of two of nanoseconds.
// So a quantile is at most a sixteenth too high. The zero value is empty.
type histogram struct {
	buckets [bucketCount]uint64
	count   uint64
	max     time.Duration
}

const (
	finenessBits = 4 // 16 buckets for every power of two
	bucketCount  = (64 - finenessBits) << finenessBits
)

// bucketOf returns the bucket of v: the exponent of its power of two, then the bits
// after the leading one. Below 32 every value has its own bucket.
func bucketOf(v uint64) int {
	exponent := max(0, bits.Len64(v)-finenessBits-1)
	return exponent<<finenessBits + int(v>>exponent)
}

// upperBound returns the largest value of a bucket.
func upperBound(bucket int) uint64 {
	exponent := max(0, bucket>>finenessBits-1)
	return (uint64(bucket-exponent<<finenessBits)+1)<<exponent - 1
}

// observe counts d, which must not be negative.
func (h *histogram) observe(d time.Duration) {
	h.buckets[bucketOf(uint64(d))]++
	h.count++
	h.max = max(h.max, d)
}

// add adds the counts of other.
func (h *histogram) add(other *histogram) {
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
	h.count += other.count
	h.max = max(h.max, other.max)
}

// quantile returns the duration that a share q of all does not exceed, 0 if
// there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := max(1, uint64(q*float64(h.count)+0.5))
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; seen >= rank {
			return min(h.max, time.Duration(upperBound(i)))
		}
	}
	return h.max
}
