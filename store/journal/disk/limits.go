package disk

import "github.com/loopstore/loopstore/store/journal"

// limits returns those of a batch where an int has so many bits. A page of bbolt may have four
// values, and with 32 bits it has less than 256 MiB.
func limits(intSize int) journal.Limits {
	if intSize == 32 {
		return journal.Limits{KeyBytes: maxKey, ValueBytes: 48 << 20, BatchBytes: 128 << 20}
	}
	return journal.Limits{KeyBytes: maxKey, ValueBytes: maxValue, BatchBytes: maxBatch}
}
