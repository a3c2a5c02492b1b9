package jetstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/loopstore/loopstore/store/journal"
)

// The data of a message is an entry:
//
//	"LSJ", format version    4 bytes
//	kind                     1
//	epoch                    8
//	index                    8   of the latest batch, which may be this one
//	batch id                 16
//	part, parts              4, 4
//	horizon                  8   nothing before this sequence is needed
//	SHA-256 of the entry before
//	owner                    16  whose journal it is: see identity
//	body
//	CRC-32C of all that      4
//
// Numbers are big-endian. The body of an epoch is an identity. The body of a batch is
// its changes one after another, cut into parts. A change is the key's length, the key,
// and either 0 for a delete or 1, the value's length and the value. Lengths are
// unsigned varints.
//
// In the first format entries had no owner, an epoch had no body, and the streams had
// other names: see former.go.
const (
	formatVersion = 2
	formerVersion = 1
	formerLength  = 4 + 1 + 8 + 8 + 16 + 4 + 4 + 8 + sha256.Size
	headLength    = formerLength + len(owner{})
	sumLength     = 4
)

type kind byte

const (
	kindEpoch   kind = 1 + iota // a holder begins
	kindBatch                   // a batch was appended
	kindCopy                    // a copy of what stands
	kindHorizon                 // what stood before the horizon was copied
)

type digest [sha256.Size]byte

type entry struct {
	kind        kind
	position    journal.Position
	id          [16]byte
	part, parts uint32 // part counts from 0
	horizon     uint64
	previous    digest
	owner       owner
	body        []byte
}

var (
	magic      = []byte("LSJ")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func (r *entry) encode() []byte {
	b := make([]byte, 0, headLength+len(r.body)+sumLength)
	b = append(append(b, magic...), formatVersion, byte(r.kind))
	b = binary.BigEndian.AppendUint64(b, r.position.Epoch)
	b = binary.BigEndian.AppendUint64(b, r.position.Index)
	b = append(b, r.id[:]...)
	b = binary.BigEndian.AppendUint32(b, r.part)
	b = binary.BigEndian.AppendUint32(b, r.parts)
	b = binary.BigEndian.AppendUint64(b, r.horizon)
	b = append(b, r.previous[:]...)
	b = append(b, r.owner[:]...)
	b = append(b, r.body...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decode reads an entry, whose body shares b. An error is ErrCorrupt, ErrFormer or
// ErrNewerFormat.
func decode(b []byte) (r entry, err error) {
	version, err := versionOf(b)
	switch {
	case err != nil:
		return r, err
	case version == formerVersion:
		return r, fmt.Errorf("%w: an entry of version %d", ErrFormer, version)
	case version > formatVersion:
		return r, fmt.Errorf("%w: version %d", journal.ErrNewerFormat, version)
	case version < formerVersion || len(b) < headLength+sumLength:
		return r, fmt.Errorf("%w: an entry of version %d with %d bytes", journal.ErrCorrupt, version, len(b))
	}
	r = decodeHead(b)
	copy(r.owner[:], b[formerLength:])
	r.body = b[headLength : len(b)-sumLength]
	return r, nil
}

// decodeFormer reads an entry of the first format, whose owner is zero.
func decodeFormer(b []byte) (r entry, err error) {
	switch version, err := versionOf(b); {
	case err != nil:
		return r, err
	case version != formerVersion:
		return r, fmt.Errorf("%w: an entry of version %d", journal.ErrCorrupt, version)
	}
	r = decodeHead(b)
	r.body = b[formerLength : len(b)-sumLength]
	return r, nil
}

// versionOf returns the version of an entry that matches its checksum.
func versionOf(b []byte) (version byte, err error) {
	if len(b) < formerLength+sumLength || !bytes.HasPrefix(b, magic) {
		return 0, fmt.Errorf("%w: %d bytes are no entry", journal.ErrCorrupt, len(b))
	}
	end := len(b) - sumLength
	if crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return 0, fmt.Errorf("%w: an entry of %d bytes does not match its checksum", journal.ErrCorrupt, len(b))
	}
	return b[3], nil
}

// decodeHead reads what stands before the owner.
func decodeHead(b []byte) (r entry) {
	r.kind = kind(b[4])
	r.position = journal.Position{Epoch: binary.BigEndian.Uint64(b[5:]), Index: binary.BigEndian.Uint64(b[13:])}
	copy(r.id[:], b[21:])
	r.part, r.parts = binary.BigEndian.Uint32(b[37:]), binary.BigEndian.Uint32(b[41:])
	r.horizon = binary.BigEndian.Uint64(b[45:])
	copy(r.previous[:], b[53:])
	return r
}

// appendChange appends a change to a body.
func appendChange(b []byte, c journal.Change) []byte {
	b = binary.AppendUvarint(b, uint64(len(c.Key)))
	b = append(b, c.Key...)
	if c.Delete {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(len(c.Value)))
	return append(b, c.Value...)
}

// changeSize returns the length of a change in a body.
func changeSize(c journal.Change) int {
	n := lengthSize(len(c.Key)) + len(c.Key) + 1
	if !c.Delete {
		n += lengthSize(len(c.Value)) + len(c.Value)
	}
	return n
}

// lengthSize returns how many bytes a length takes.
func lengthSize(n int) int { return max(1, (bits.Len(uint(n))+6)/7) }

// encodeChanges returns the body of changes.
func encodeChanges(changes []journal.Change) []byte {
	n := 0
	for _, c := range changes {
		n += changeSize(c)
	}
	body := make([]byte, 0, n)
	for _, c := range changes {
		body = appendChange(body, c)
	}
	return body
}

// decodeChanges returns the changes of a body, which share its bytes.
func decodeChanges(body []byte) (changes []journal.Change, err error) {
	for len(body) > 0 {
		var c journal.Change
		var ok bool
		if c.Key, body, ok = cut(body); !ok || len(body) == 0 {
			return nil, errBody
		}
		there := body[0]
		body = body[1:]
		switch there {
		case 0:
			c.Delete = true
		case 1:
			if c.Value, body, ok = cut(body); !ok {
				return nil, errBody
			}
		default:
			return nil, errBody
		}
		changes = append(changes, c)
	}
	return changes, nil
}

var errBody = fmt.Errorf("%w: a batch is not a list of changes", journal.ErrCorrupt)

// cut takes a length, and as many bytes, from the front of b.
func cut(b []byte) (piece, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	end := size + int(n)
	return b[size:end:end], b[end:], true
}
