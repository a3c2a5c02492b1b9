package session

import (
	"encoding/binary"
	"hash"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep arrays and objects may nest. Meerkat's parser refuses the
// 128th level.
const maxDepth = 127

// A reader reads one JSON text from front to back.
type reader struct {
	in      []byte
	pos     int
	depth   int
	message int    // the index of the message it is in, or -1
	known   int    // bytes that in and the document before it are known to begin with both
	text    []byte // the last string that had escapes, decoded

	// What rewrite writes.
	out      []byte
	sink     hash.Hash // gets what is in out; nil leaves all of it there
	checking bool      // rewrite writes nothing
	index    index     // of the JSON value that is being rewritten

	// Raw values.
	raw   int     // how many this text is inside of
	room  int     // how many bytes of nested ones it may hold
	inner *reader // reads those inside of it, one after another
}

func newReader(text string) *reader {
	return &reader{
		in:      bytesOf(text), // a reader only reads
		message: -1,
	}
}

func (r *reader) fail(reason string) error {
	return &Error{Offset: r.pos, Message: r.message, Reason: reason}
}

// peek skips white space and returns the next byte, or 0 at the end. A NUL byte
// in the text begins no token, so nobody need tell the two apart.
func (r *reader) peek() byte {
	for ; r.pos < len(r.in); r.pos++ {
		switch c := r.in[r.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// literal skips text if that comes next, byte for byte.
func (r *reader) literal(text string) bool {
	end := r.pos + len(text)
	if end > len(r.in) || string(r.in[r.pos:end]) != text {
		return false
	}
	r.pos = end
	return true
}

func (r *reader) expect(c byte, reason string) error {
	if r.peek() != c {
		return r.fail(reason)
	}
	r.pos++
	return nil
}

// end fails unless only white space is left.
func (r *reader) end() error {
	r.peek()
	if r.pos < len(r.in) {
		return r.fail("more text after the end")
	}
	return nil
}

func (r *reader) enter() error {
	if r.depth == maxDepth {
		return r.fail("nested too deep")
	}
	r.depth++
	r.pos++
	return nil
}

func (r *reader) leave() {
	r.depth--
	r.pos++
}

// leaveAt leaves an array or object, which must end here.
func (r *reader) leaveAt(end byte, reason string) error {
	if r.peek() != end {
		return r.fail(reason)
	}
	r.leave()
	return nil
}

// more reports whether another element follows in an array or object, and skips
// the comma in front of it. The first one has none.
func (r *reader) more(first bool, end byte) (bool, error) {
	c := r.peek()
	switch {
	case c == end:
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, r.fail("expected a comma or the end of an array or object")
	}
	r.pos++
	if r.peek() == end {
		return false, r.fail("comma before the end of an array or object")
	}
	return true, nil
}

// key reads a member's name and the colon after it.
func (r *reader) key() ([]byte, error) {
	if r.peek() != '"' {
		return nil, r.fail("expected a member's name")
	}
	name, err := r.str()
	if err != nil {
		return nil, err
	}
	return name, r.expect(':', "expected a colon")
}

// str reads a string and returns it decoded. The result is valid until the next
// call.
func (r *reader) str() ([]byte, error) {
	if r.peek() != '"' {
		return nil, r.fail("expected a string")
	}
	start := r.pos
	escaped, err := r.skipString(true)
	if err != nil {
		return nil, err
	}
	if !escaped {
		return r.in[start+1 : r.pos-1], nil
	}
	r.text, err = jsontext.AppendUnquote(r.text[:0], r.in[start:r.pos])
	if err != nil { // a surrogate without its pair
		r.pos = start
		return nil, r.fail("invalid escape in a string")
	}
	return r.text, nil
}

// skipString skips a string and reports whether it has escapes. With checkUTF8 it
// must be valid UTF-8. Half surrogates are left for the decoder to find.
func (r *reader) skipString(checkUTF8 bool) (escaped bool, err error) {
	start := r.pos
	r.pos++
	ascii := true
	for {
		n, plain := span(r.in[r.pos:])
		r.pos += n
		ascii = ascii && plain
		switch {
		case r.pos == len(r.in):
			return escaped, r.fail("unexpected end in a string")
		case r.in[r.pos] == '"':
			if checkUTF8 && !ascii && !utf8.Valid(r.in[start:r.pos]) {
				r.pos = start
				return escaped, r.fail("invalid UTF-8 in a string")
			}
			r.pos++
			return escaped, nil
		case r.in[r.pos] == '\\':
			escaped = true
			if !r.skipEscape() {
				return escaped, r.fail("invalid escape in a string")
			}
		default:
			return escaped, r.fail("control character in a string")
		}
	}
}

func (r *reader) skipEscape() bool {
	if r.pos+1 >= len(r.in) {
		return false
	}
	switch r.in[r.pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		r.pos += 2
		return true
	case 'u':
		end := r.pos + 6
		if end > len(r.in) {
			return false
		}
		for _, c := range r.in[r.pos+2 : end] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		}
		r.pos = end
		return true
	}
	return false
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// span returns how many bytes come before the first quote, backslash or control
// character, and whether they are all ASCII. It looks at eight bytes at a time:
// in (w-n*ones)&^w the lowest byte with its high bit set is the lowest byte of w
// that is below n. Bytes above it may be wrong.
func span(b []byte) (n int, ascii bool) {
	var seen uint64
	for ; n+8 <= len(b); n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		quote, slash := w^('"'*ones), w^('\\'*ones)
		stop := ((w-0x20*ones)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
		if stop != 0 {
			at := bits.TrailingZeros64(stop) / 8
			seen |= w & (1<<(8*at) - 1)
			return n + at, seen&highs == 0
		}
		seen |= w
	}
	for ; n < len(b); n++ {
		c := b[n]
		if c < 0x20 || c == '"' || c == '\\' {
			break
		}
		seen |= uint64(c)
	}
	return n, seen&highs == 0
}
