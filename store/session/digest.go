package session

import (
	"crypto/sha256"
	"hash"
)

// A digester hashes the canonical text of the messages. Messages that are
// canonical already are hashed in the document, in long runs.
type digester struct {
	hash     hash.Cloner
	in       []byte
	from, to int // in[from:to] is still to be hashed
}

// runLength is how long a run gets before it is hashed. A run is short enough to
// be in the processor's cache still.
const runLength = 1 << 15

// The text between messages. As literals in a call they would be allocated each
// time.
var openArray, comma, closeArray = []byte("["), []byte(","), []byte("]")

func newDigester(in []byte) *digester {
	d := &digester{hash: sha256.New().(hash.Cloner), in: in}
	d.hash.Write(openArray)
	return d
}

// verbatim adds message n, whose text in the document is canonical.
func (d *digester) verbatim(n uint64, from, to int) {
	if d.from == d.to || from != d.to+1 { // otherwise only a comma is in between
		d.separate(n)
		d.from = from
	}
	d.to = to
	if d.to-d.from >= runLength {
		d.flush()
	}
}

// separate hashes all that comes before message n.
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

// end appends the digest of the whole array to dst. It returns the hash without
// the closing bracket, to go on from.
func (d *digester) end(dst []byte) hash.Cloner {
	d.flush()
	before := cloneHash(d.hash)
	d.hash.Write(closeArray)
	d.hash.Sum(dst)
	return before
}

// cloneHash copies a hash. SHA-256 can always be copied.
func cloneHash(h hash.Cloner) hash.Cloner {
	c, err := h.Clone()
	if err != nil {
		panic(err)
	}
	return c
}
