package state

import (
	"encoding/binary"
	"math"

	"github.com/loopstore/loopstore/store"
)

// A payloadReader reads numbers and texts. Once something is not there it is
// bad, and reads zeros.
type payloadReader struct {
	rest    []byte
	bad     bool
	version byte // of the record
	read    decoded
}

func (b *payloadReader) done() bool { return !b.bad && len(b.rest) == 0 }

func (b *payloadReader) take(n int) []byte {
	if b.bad || n < 0 || n > len(b.rest) {
		b.bad = true
		return nil
	}
	taken := b.rest[:n]
	b.rest = b.rest[n:]
	return taken
}

func (b *payloadReader) byte() byte {
	if one := b.take(1); one != nil {
		return one[0]
	}
	return 0
}

func (b *payloadReader) flag() bool {
	n := b.byte()
	b.bad = b.bad || n > 1
	return n == 1
}

func (b *payloadReader) fixed() uint64 {
	if eight := b.take(8); eight != nil {
		return binary.BigEndian.Uint64(eight)
	}
	return 0
}

func (b *payloadReader) number() uint64 {
	n, size := binary.Uvarint(b.rest)
	if b.take(max(size, 0)); size <= 0 {
		b.bad = true
	}
	return n
}

// place reads a number that an int can be.
func (b *payloadReader) place() int {
	n := b.number()
	b.bad = b.bad || n > math.MaxInt
	return int(n)
}

func (b *payloadReader) text() string { return string(b.sized()) }

// sized takes what has its length before it.
func (b *payloadReader) sized() []byte {
	n := b.number()
	return b.take(int(min(n, uint64(len(b.rest))+1))) // one more than there is fails
}

func (b *payloadReader) id() (id [16]byte) {
	copy(id[:], b.take(len(id)))
	return id
}

// receipt reads one, without its run. It is nil if it cannot be.
func (b *payloadReader) receipt(sequence uint64) *Receipt {
	boundary, messages := b.byte(), b.number()
	r := store.RunBoundaryReceipt{Sequence: sequence, MessageCount: messages}
	var digest []byte
	digests := digesting(b.byte())
	switch digests {
	case isDigest:
		digest = b.take(32)
	case isText:
		r.ConversationDigest = new(b.text())
	}
	n := b.number()
	if b.bad || int(boundary) >= len(boundaries) || digests > isText || n > uint64(len(b.rest)/len(store.InputID{})) {
		return nil
	}
	for range n {
		r.ContributingInputIDs = append(r.ContributingInputIDs, b.id())
	}
	r.Boundary = boundaries[boundary]
	if r.Validate() != nil {
		return nil
	}
	receipt := NewReceipt(&r)
	if digests == isDigest {
		receipt.digest, receipt.digests = [32]byte(digest), isDigest
	}
	return receipt
}
