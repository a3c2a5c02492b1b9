package session

import (
	"crypto/sha256"
	"hash"
)

// A digester hashes the canonical text of the messages: what needs no
// rewriting straight from the document, in long runs.
type digester struct {
	hash     hash.Hash
	in       []byte
	from, to int // the run of in that waits to be hashed
}

// runLength is how much text waits at the most: little enough that it is
// still in the cache when it is hashed.
const runLength = 1 << 15

func newDigester(in []byte) *digester {
	d := &digester{hash: sha256.New(), in: in}
	d.hash.Write([]byte{'['})
	return d
}

// verbatim adds message n, which is canonical where it lies.
func (d *digester) verbatim(n, from, to int) {
	if d.from == d.to || from != d.to+1 { // else only the comma is between
		d.separate(n)
		d.from = from
	}
	d.to = to
	if d.to-d.from >= runLength {
		d.flush()
	}
}

// rewritten adds message n, whose canonical text is text.
func (d *digester) rewritten(n int, text []byte) {
	d.separate(n)
	d.hash.Write(text)
}

func (d *digester) separate(n int) {
	d.flush()
	if n > 0 {
		d.hash.Write([]byte{','})
	}
}

func (d *digester) flush() {
	d.hash.Write(d.in[d.from:d.to])
	d.from = d.to
}

// sum ends the array and appends the digest to dst.
func (d *digester) sum(dst []byte) {
	d.flush()
	d.hash.Write([]byte{']'})
	d.hash.Sum(dst)
}
