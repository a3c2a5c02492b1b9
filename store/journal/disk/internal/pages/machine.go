package pages

import (
	"errors"
	"math"
	"math/bits"

	bbolt "go.etcd.io/bbolt/errors"

	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// Where an int has 32 bits, bbolt maps less than 2 GiB, and in one piece. It counts the bytes of
// a file in an int, and a page that is beyond would be read from anywhere in the memory. So a
// file has 1 GiB at most, of which one map may be there while the file is written anew. A page is
// what bbolt's slices have room for. Tests alone change these.
var largestFile, largestPage = mapped(bits.UintSize)

// mapped returns how many bytes of a file, 0 for any, and of a page can be used where an int has
// so many bits.
func mapped(intSize int) (file int, page int64) {
	if intSize == 32 {
		return 1 << 30, 1<<28 - 1
	}
	return 0, math.MaxInt32
}

// tooLarge makes an error of bbolt one that says what this machine cannot do.
func tooLarge(err error) error {
	if errors.Is(err, bbolt.ErrMaxSizeReached) {
		return wal.Unsupported("the pages would have more than the %d bytes that can be mapped", largestFile)
	}
	return err
}

// sameOrder returns why this machine cannot use a file with a meta page, if that was written in
// the other byte order.
func sameOrder(page []byte) error {
	if bits.ReverseBytes32(native.Uint32(page[pageHeader:])) == metaMagic {
		return wal.Unsupported("the pages were written on a machine of the other byte order")
	}
	return nil
}
