package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// A Head summarizes a partition. An engine that stores records by key stores the
// Head beside them and updates it in the transaction of each batch, so that the
// next Open finds a record that is lost, altered or outdated.
type Head struct {
	Position
	Keys   uint64 // how many stand
	Digest Digest // of all that stand, with their values
}

// Put counts a key that stands from now on.
func (h *Head) Put(key, value []byte) {
	h.Keys++
	h.Digest.Add(key, value)
}

// Remove counts a key that no longer stands. value is the one that it had.
func (h *Head) Remove(key, value []byte) {
	h.Keys--
	h.Digest.Remove(key, value)
}

// A Digest identifies a set of keys with their values: it is the sum, modulo
// 2^256, of their SHA-256. Adding a key takes the same time however many there
// are. It finds accidents; it is no signature. The zero value is the digest of
// the empty set.
type Digest [4]uint64 // the lowest word first

// Add adds a key with its value.
func (d *Digest) Add(key, value []byte) { d.Plus(DigestOf(key, value)) }

// Remove takes a key with its value out again.
func (d *Digest) Remove(key, value []byte) { d.Minus(DigestOf(key, value)) }

// Plus adds the whole set of another digest.
func (d *Digest) Plus(other Digest) {
	var carry uint64
	for i, n := range other {
		d[i], carry = bits.Add64(d[i], n, carry)
	}
}

// Minus takes the whole set of another digest out again.
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
