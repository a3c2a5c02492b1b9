package wal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/loopstore/loopstore/store/journal"
)

// An ID is random, and tells the frames of one log from those of any other.
type ID [16]byte

// A Hash identifies a frame: the first bytes of the SHA-256 of its header, which has
// the sum of its body and the hash of the frame before.
type Hash [16]byte

// A Mark is a place in a log: behind a frame, by the frame's number and hash. The zero
// Mark is where a log begins.
type Mark struct {
	Number uint64
	Hash   Hash
}

// An Entry is what one partition has added to a frame: a batch, or, if it has no
// changes, that the partition was opened and has a new epoch.
type Entry struct {
	Partition string
	journal.Position
	Changes []journal.Change // shares the frame's memory
}

const (
	frameMagic = 0x706F6F6C // loop
	headerSize = 48
	alignment  = 8 // of frames in a segment
	maxBody    = 4 << 30
)

// A header is the start of a frame. It is stored little-endian, as its fields stand
// here.
type header struct {
	Magic   uint32
	Sum     uint32 // CRC32C of the log's ID and of the fields below
	Number  uint64 // of the frame in the log, from 1
	Length  uint64 // of the body
	BodySum uint32 // CRC32C
	Hidden  uint32 // where the first magic stood in the body: see hide
	Before  Hash   // of the frame before
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// size returns how many bytes a frame takes in its segment.
func (h header) size() int64 { return aligned(headerSize + int64(h.Length)) }

func aligned(n int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// parseHeader returns the header of a frame of this log, if there is one.
func parseHeader(id ID, b []byte) (h header, ok bool) {
	if len(b) < headerSize || binary.LittleEndian.Uint32(b) != frameMagic ||
		binary.LittleEndian.Uint32(b[4:]) != headerSum(id, b) {
		return h, false
	}
	_, err := binary.Decode(b[:headerSize], binary.LittleEndian, &h)
	return h, err == nil
}

func headerSum(id ID, b []byte) uint32 {
	return Sum(id[:], b[8:headerSize])
}

func hashOf(header []byte) Hash {
	sum := sha256.Sum256(header[:headerSize])
	return Hash(sum[:len(Hash{})])
}

// appendFrame appends a frame of entries to buf, and returns its mark.
func appendFrame(buf []byte, id ID, before Mark, entries []Entry) ([]byte, Mark) {
	at, size := len(buf), headerSize+alignment
	for _, e := range entries {
		size += sizeOfEntry(e)
	}
	buf = append(slices.Grow(buf, size), make([]byte, headerSize)...)
	for _, e := range entries {
		buf = appendEntry(buf, e)
	}
	frame := buf[at:]
	h := header{
		Magic: frameMagic, Number: before.Number + 1, Before: before.Hash,
		Length: uint64(len(frame) - headerSize), Hidden: hide(frame[headerSize:]),
	}
	h.BodySum = Sum(frame[headerSize:])
	_, _ = binary.Encode(frame, binary.LittleEndian, h)
	binary.LittleEndian.PutUint32(frame[4:], headerSum(id, frame))
	return buf, Mark{h.Number, hashOf(frame)}
}

// appendEntry appends an entry: the partition's name, its epoch and index, the number
// of changes, and the changes. Each text has its length before it. The length of a value
// is one more than it is, so that 0 is a deletion. Numbers are uvarints.
func appendEntry(buf []byte, e Entry) []byte {
	buf = appendText(buf, []byte(e.Partition))
	buf = binary.AppendUvarint(buf, e.Epoch)
	buf = binary.AppendUvarint(buf, e.Index)
	buf = binary.AppendUvarint(buf, uint64(len(e.Changes)))
	for _, c := range e.Changes {
		buf = appendText(buf, c.Key)
		if c.Delete {
			buf = append(buf, 0)
			continue
		}
		buf = binary.AppendUvarint(buf, uint64(len(c.Value))+1)
		buf = append(buf, c.Value...)
	}
	return buf
}

// sizeOfEntry is at least what an entry takes.
func sizeOfEntry(e Entry) int {
	n := len(e.Partition) + 4*binary.MaxVarintLen64
	for _, c := range e.Changes {
		n += len(c.Key) + len(c.Value) + 2*binary.MaxVarintLen32
	}
	return n
}

func appendText(buf, text []byte) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(text))), text...)
}

var errMalformed = errors.New("a frame whose sum is right does not have the form of one")

// parseEntry returns the first entry of a body, and the rest of it.
func parseEntry(body []byte) (e Entry, rest []byte, err error) {
	p := parser{rest: body}
	e.Partition = string(p.text(0))
	e.Epoch, e.Index = p.number(), p.number()
	n := p.number()
	if n > uint64(len(p.rest))/2 { // a change has two bytes at least
		return e, nil, errMalformed
	}
	if n > 0 {
		e.Changes = make([]journal.Change, n)
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		c.Key = p.text(0)
		if c.Delete = len(p.rest) > 0 && p.rest[0] == 0; c.Delete {
			p.rest = p.rest[1:]
		} else {
			c.Value = p.text(1)
		}
	}
	return e, p.rest, p.err
}

// A parser takes numbers and texts from the front of a body.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) number() uint64 {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 {
		p.err, p.rest = errMalformed, nil
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

// text returns a text, whose length stands before it, more by extra.
func (p *parser) text(extra uint64) []byte {
	n := p.number() - extra
	if n > uint64(len(p.rest)) {
		p.err, p.rest = errMalformed, nil
		return nil
	}
	text := p.rest[:n:n]
	p.rest = p.rest[n:]
	return text
}

// hide takes the magic of a header out of a body, wherever a frame could begin, so that what a
// value holds is never taken for a frame, whatever is left of this one. In the place of each
// magic stands where the next one was. It returns where the first was: a place is counted in
// alignments from 1, and 0 is none. No body is so long that a place would be the magic.
func hide(body []byte) (first uint32) {
	last := (*[4]byte)(nil)
	for at := nextMagic(body, 0); at >= 0; at = nextMagic(body, at+alignment) {
		place := uint32(at/alignment + 1)
		if last == nil {
			first = place
		} else {
			binary.LittleEndian.PutUint32(last[:], place)
		}
		last = (*[4]byte)(body[at:])
		clear(last[:])
	}
	return first
}

// restore undoes hide.
func restore(body []byte, place uint32) error {
	for place > 0 {
		at := (int64(place) - 1) * alignment
		if at+4 > int64(len(body)) {
			return errMalformed
		}
		next := binary.LittleEndian.Uint32(body[at:])
		if next > 0 && next <= place {
			return errMalformed
		}
		binary.LittleEndian.PutUint32(body[at:], frameMagic)
		place = next
	}
	return nil
}

// nextMagic returns the first place in b, which begins at an aligned one, from at on where a
// header may begin; -1 if there is none.
func nextMagic(b []byte, at int) int {
	magic := binary.LittleEndian.AppendUint32(nil, frameMagic)
	for at < len(b) {
		next := bytes.Index(b[at:], magic)
		if next < 0 {
			break
		}
		if at += next; at%alignment == 0 {
			return at
		}
		at++
	}
	return -1
}

// laterFrame returns where in b, which begins at an aligned place, a frame begins whose
// number is larger than n; -1 if there is none.
func laterFrame(id ID, b []byte, n uint64) int {
	at := nextMagic(b, 0)
	for at >= 0 {
		h, ok := parseHeader(id, b[at:])
		switch {
		case ok && h.Number > n:
			return at
		case ok: // a sum in it may be a magic
			at += headerSize
		default:
			at += alignment
		}
		at = nextMagic(b, at)
	}
	return -1
}

// Corrupt returns journal.ErrCorrupt with what was found and where, never with a payload.
func Corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", journal.ErrCorrupt, fmt.Sprintf(format, args...))
}

// Sum returns the CRC32C (Castagnoli) of all parts together.
func Sum(parts ...[]byte) (sum uint32) {
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum
}
