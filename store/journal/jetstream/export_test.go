package jetstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// FormatVersion is the version of the entries that are written.
const FormatVersion = formatVersion

// FormerEntries returns the entries of a journal in the first format, and what stands in
// it.
func FormerEntries(batches int) (all [][]byte, standing map[string]string) {
	var previous digest
	standing = map[string]string{}
	add := func(r entry) {
		r.parts, r.horizon, r.previous = 1, 1, previous
		data := formerEncode(r)
		previous = sha256.Sum256(data)
		all = append(all, data)
	}
	add(entry{kind: kindEpoch, position: journal.Position{Epoch: 1}})
	for n := range batches {
		c := journal.Change{Key: fmt.Append(nil, "key ", n%7), Value: fmt.Append(nil, "value ", n)}
		standing[string(c.Key)] = string(c.Value)
		add(entry{kind: kindBatch, position: journal.Position{Epoch: 1, Index: uint64(n + 1)}, id: newID(),
			body: encodeChanges([]journal.Change{c})})
	}
	return all, standing
}

// formerEncode writes an entry in the first format, which had no owner.
func formerEncode(r entry) []byte {
	b := r.encode()
	b = slices.Delete(bytes.Clone(b), formerLength, headLength)
	b[3] = formerVersion
	end := len(b) - sumLength
	binary.BigEndian.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
	return b
}

// HalfCarried returns the first entry of a Carry.
func HalfCarried(prefix, partition string) []byte {
	r := entry{kind: kindCopy, parts: 1, horizon: 1, id: newID(), owner: identity{prefix: prefix, partition: partition}.owner()}
	return r.encode()
}

// LookEvery makes an engine look at its streams so often.
func LookEvery(e *Engine, every time.Duration) { e.watch.every = every }

// Looking returns how many journals' streams an engine looks at, and 1 more if that has
// not ended.
func Looking(e *Engine) int {
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	n := len(e.watch.said)
	if e.watch.stop != nil {
		n++
	}
	return n
}

// LookAgain makes a directory look at its bucket with the next call, as a minute later.
func LookAgain(d *Directory) { d.judged.Store(new(d.judged.Load().Add(-time.Hour))) }
