package jetstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// A line is entries that follow one another.
type line []entry

// lineOf makes a line: an epoch, two batches of which the second has three parts,
// another epoch, a copy, and a horizon.
func lineOf() line {
	body := encodeChanges([]journal.Change{{Key: []byte("k"), Value: []byte("value")}, {Key: []byte("gone"), Delete: true}})
	at := func(epoch, index uint64) journal.Position { return journal.Position{Epoch: epoch, Index: index} }
	return line{
		{kind: kindEpoch, position: at(1, 0), parts: 1, horizon: 1},
		{kind: kindBatch, position: at(1, 1), parts: 1, horizon: 1, id: [16]byte{1}, body: body},
		{kind: kindBatch, position: at(1, 2), part: 0, parts: 3, horizon: 1, id: [16]byte{2}, body: body[:4]},
		{kind: kindBatch, position: at(1, 2), part: 1, parts: 3, horizon: 1, id: [16]byte{2}, body: body[4:9]},
		{kind: kindBatch, position: at(1, 2), part: 2, parts: 3, horizon: 1, id: [16]byte{2}, body: body[9:]},
		{kind: kindEpoch, position: at(2, 2), parts: 1, horizon: 1},
		{kind: kindCopy, position: at(2, 2), parts: 1, horizon: 1, id: [16]byte{3}, body: body},
		{kind: kindHorizon, position: at(2, 2), parts: 1, horizon: 7},
	}
}

// read reads a line from a sequence on, with each entry bound to the one before
// it, as a holder would have written them.
func (l line) read(from uint64) (*reading, error) {
	h := newReading(from)
	var previous digest
	for _, r := range l {
		r.previous = previous
		data := r.encode()
		previous = sha256.Sum256(data)
		got, err := decode(data)
		if err != nil {
			return h, err
		}
		if err := h.add(got, data); err != nil {
			return h, err
		}
	}
	return h, nil
}

// A reading is a history, and what stands after it.
type reading struct {
	history
	values map[string][]byte
}

func newReading(from uint64) *reading {
	r := &reading{history{next: from}, map[string][]byte{}}
	r.whole = func(_ uint64, changes []journal.Change, _ int) error {
		put(r.values, changes)
		return nil
	}
	return r
}

func TestHistory(t *testing.T) {
	h, err := lineOf().read(1)
	require.NoError(t, err)
	assert.Equal(t, map[string][]byte{"k": []byte("value")}, h.values)
	assert.Equal(t, journal.Position{Epoch: 2, Index: 2}, h.position)
	assert.EqualValues(t, 9, h.next)
	assert.False(t, h.waits())

	carried := lineOf()
	for n := range carried[5:] {
		carried[5+n].owner = identity{prefix: "app"}.owner()
	}
	carried[5].body = identity{prefix: "app"}.encode()
	_, err = carried.read(1)
	require.NoError(t, err, "an epoch may make it another's")

	_, err = lineOf()[6:].read(7)
	require.NoError(t, err, "what is before the horizon is not needed")
}

// Whatever does not follow is corrupt, though each entry is whole.
func TestHistoryThatDoesNotFollow(t *testing.T) {
	for name, change := range map[string]func(l line) line{
		"no kind":               func(l line) line { l[0].kind = 0; return l },
		"unknown kind":          func(l line) line { l[1].kind = 9; return l },
		"no parts":              func(l line) line { l[1].parts = 0; return l },
		"part beyond parts":     func(l line) line { l[1].part = 1; return l },
		"horizon ahead":         func(l line) line { l[1].horizon = 9; return l },
		"horizon goes back":     func(l line) line { l[0].horizon, l[1].horizon = 1, 0; return l },
		"a part is missing":     func(l line) line { return append(l[:3], l[4:]...) },
		"a part is there twice": func(l line) line { return append(l[:4], l[3:]...) },
		"the rest is missing":   func(l line) line { return append(l[:3], l[5:]...) },
		"begins with a part":    func(l line) line { return l[3:] },
		"part of another":       func(l line) line { l[3].id[0] = 9; return l },
		"part elsewhere":        func(l line) line { l[3].position.Index = 9; return l },
		"other number of parts": func(l line) line { l[3].parts = 4; return l },
		"epoch stays":           func(l line) line { l[5].position.Epoch = 1; return l },
		"epoch leaps":           func(l line) line { l[5].position.Epoch = 4; return l },
		"epoch without record":  func(l line) line { l[1].position.Epoch = 2; return l },
		"index stays":           func(l line) line { l[1].position.Index = 0; return l },
		"index leaps":           func(l line) line { l[1].position.Index = 2; return l },
		"copy counts":           func(l line) line { l[6].position.Index = 3; return l },
		"another's":             func(l line) line { l[3].owner = owner{1}; return l },
		"epoch of another's": func(l line) line {
			for n := range l {
				l[n].owner = identity{prefix: "app"}.owner()
			}
			l[0].body, l[5].body = identity{prefix: "app"}.encode(), identity{prefix: "other"}.encode()
			return l
		},
		"a record is missing":  func(l line) line { return append(l[:1], l[2:]...) },
		"no change":            func(l line) line { l[1].body = []byte{5, 'k'}; return l },
		"neither put nor gone": func(l line) line { l[1].body = []byte{1, 'k', 2}; return l },
		"value is cut off":     func(l line) line { l[1].body = []byte{1, 'k', 1, 2, 'v'}; return l },
		"ends after the key":   func(l line) line { l[1].body = []byte{1, 'k'}; return l },
		"endless length":       func(l line) line { l[1].body = bytes.Repeat([]byte{0xff}, 11); return l },
		"huge length": func(l line) line {
			l[1].body = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}
			return l
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := change(lineOf()).read(1)
			require.ErrorIs(t, err, journal.ErrCorrupt)
		})
	}
}

// The same entries in another order, or with one replaced by one that is right in
// itself, do not follow by their digests.
func TestHistoryOfExchangedRecords(t *testing.T) {
	h := newReading(1)
	first := entry{kind: kindEpoch, position: journal.Position{Epoch: 1}, parts: 1, horizon: 1}
	require.NoError(t, h.add(first, first.encode()))
	other := first
	other.id[0] = 1
	next := entry{kind: kindBatch, position: journal.Position{Epoch: 1, Index: 1}, parts: 1, horizon: 1, previous: sha256.Sum256(other.encode())}
	err := h.add(next, next.encode())
	require.ErrorIs(t, err, journal.ErrCorrupt)
	require.ErrorContains(t, err, "does not follow")
}

func TestDecodeFindsEveryFlippedBit(t *testing.T) {
	data := lineOf()[1].encode()
	for bit := range 8 * len(data) {
		damaged := bytes.Clone(data)
		damaged[bit/8] ^= 1 << (bit % 8)
		_, err := decode(damaged)
		require.ErrorIs(t, err, journal.ErrCorrupt, "bit %d", bit)
	}
	for n := range data {
		_, err := decode(data[:n])
		require.ErrorIs(t, err, journal.ErrCorrupt, "%d bytes", n)
	}
}

func TestDecodeOfANewerFormat(t *testing.T) {
	for version, want := range map[byte]error{0: journal.ErrCorrupt, formerVersion: ErrFormer, formatVersion + 1: journal.ErrNewerFormat} {
		_, err := decode(resealed(lineOf()[1].encode(), version))
		require.ErrorIs(t, err, want)
	}
}

func FuzzHistory(f *testing.F) {
	for _, r := range lineOf() {
		f.Add(r.encode(), r.encode())
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		h := newReading(1)
		for _, data := range [][]byte{a, b} {
			r, err := decode(resealed(data, formatVersion))
			if err == nil {
				err = h.add(r, data)
			}
			if err != nil {
				// What is too short to be sealed again has the version that it says.
				require.True(t, errors.Is(err, journal.ErrCorrupt) || errors.Is(err, ErrFormer) || errors.Is(err, journal.ErrNewerFormat), "%v", err)
				return
			}
		}
	})
}

// resealed returns data with a version and its checksum, if there is room.
func resealed(data []byte, version byte) []byte {
	if len(data) < headLength+sumLength {
		return data
	}
	data = bytes.Clone(data)
	copy(data, magic)
	data[3] = version
	end := len(data) - sumLength
	binary.BigEndian.PutUint32(data[end:], crc32.Checksum(data[:end], castagnoli))
	return data
}
