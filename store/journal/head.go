package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// A Head is what an engine that keeps its state by key keeps besides, and
// changes in the transaction of each batch: so that a record which is lost,
// altered, or older than it should be shows at the next Open.
type Head struct {
	Position
	Keys   uint64 // that stand
	Digest Digest // of what stands
}

// Put counts what stands under a key from now on.
func (h *Head) Put(key, value []byte) {
	h.Keys++
	h.Digest.Add(key, value)
}

// Remove counts that it does not any more.
func (h *Head) Remove(key, value []byte) {
	h.Keys--
	h.Digest.Remove(key, value)
}

// A Digest is that of a set of keys with their values: the sum, modulo 2^256, of
// the SHA-256 of each, so that it takes the same to change it however many there
// are. It finds accidents; it is no signature. The zero value is that of none.
type Digest [4]uint64 // the lowest first

// Add adds a key and its value.
func (d *Digest) Add(key, value []byte) { d.Plus(DigestOf(key, value)) }

// Remove takes them out again.
func (d *Digest) Remove(key, value []byte) { d.Minus(DigestOf(key, value)) }

// Plus adds all that another digest is of.
func (d *Digest) Plus(other Digest) {
	var carry uint64
	for i, n := range other {
		d[i], carry = bits.Add64(d[i], n, carry)
	}
}

// Minus takes it out again.
func (d *Digest) Minus(other Digest) {
	var borrow uint64
	for i, n := range other {
		d[i], borrow = bits.Sub64(d[i], n, borrow)
	}
}

// DigestOf returns the digest of one key with its value: the SHA-256 of the
// key's length, in 8 bytes, the key and the value.
func DigestOf(key, value []byte) (d Digest) {
	h := sha256.New()
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(key)))
	h.Write(length[:])
	h.Write(key)
	h.Write(value)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	for i := range d {
		d[i] = binary.LittleEndian.Uint64(sum[8*i:])
	}
	return d
}
