package session

import (
	"crypto/sha256"
	"hash"
)

// A digester hashes the canonical text of the messages: what needs no
// rewriting straight from the document, in long runs.
type digester struct {
	hash     hash.Cloner
	in       []byte
	from, to int // the run of in that waits to be hashed
}

// runLength is how much text waits at the most: little enough that it is
// still in the cache when it is hashed.
const runLength = 1 << 15

// What is hashed besides messages. Literals in their places would be allocated
// at each call.
var openArray, comma, closeArray = []byte("["), []byte(","), []byte("]")

func newDigester(in []byte) *digester {
	d := &digester{hash: sha256.New().(hash.Cloner), in: in}
	d.hash.Write(openArray)
	return d
}

// verbatim adds message n, which is canonical where it lies.
func (d *digester) verbatim(n uint64, from, to int) {
	if d.from == d.to || from != d.to+1 { // else only the comma is between
		d.separate(n)
		d.from = from
	}
	d.to = to
	if d.to-d.from >= runLength {
		d.flush()
	}
}

// separate adds what comes before message n, whose canonical text is given to the
// hash then.
func (d *digester) separate(n uint64) {
	d.flush()
	if n > 0 {
		d.hash.Write(comma)
	}
}

func (d *digester) flush() {
	d.hash.Write(d.in[d.from:d.to])
	d.from = d.to
}

// end appends the digest of the whole array to dst, and returns the hash as it
// was before the array's end.
func (d *digester) end(dst []byte) hash.Cloner {
	d.flush()
	before := cloneHash(d.hash)
	d.hash.Write(closeArray)
	d.hash.Sum(dst)
	return before
}

// cloneHash copies a hash of this package's, which all can be copied.
func cloneHash(h hash.Cloner) hash.Cloner {
	c, err := h.Clone()
	if err != nil {
		panic(err)
	}
	return c
}
