package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/loopstore/loopstore/store/journal"
)

const (
	// An index has no room for more, with the rest of an entry, in a third of a
	// page.
	maxKey = 2600
	// The server takes a gigabyte in one message, and holds it several times.
	maxValue = 128 << 20
	maxBatch = 256 << 20

	chunkBytes   = 8 << 20 // of keys and values in one round trip, but for the last
	chunkChanges = 16 << 10
)

// A write is a batch on its way.
type write struct {
	id        [16]byte
	next      journal.Head
	chunks    []chunk // never none
	uncertain bool    // an earlier try may have stored it, or may yet
}

// A chunk is what goes in one round trip. A key is in no more than one.
type chunk struct {
	gone, keys, values [][]byte
	bytes              int
}

func (c *chunk) full() bool {
	return c.bytes >= chunkBytes || len(c.gone)+len(c.keys) >= chunkChanges
}

// prepare says what a batch makes of the head, and what is to be sent: the last
// change of each key, and no delete of what is not there.
func (j *owned) prepare(b journal.Batch) *write {
	w := &write{id: b.ID, next: j.head, chunks: make([]chunk, 1)}
	w.next.Index++
	seen := make(map[keyID]bool, len(b.Changes))
	for _, change := range slices.Backward(b.Changes) {
		id := keyIDOf(change.Key)
		if seen[id] {
			continue
		}
		seen[id] = true
		old, stood := j.digests[id]
		if stood {
			w.next.Keys--
			w.next.Digest.Minus(old)
		}
		switch {
		case !change.Delete:
			digest := journal.DigestOf(change.Key, change.Value)
			w.next.Keys++
			w.next.Digest.Plus(digest)
			j.digests[id] = digest
		case stood:
			delete(j.digests, id)
		default:
			continue
		}
		w.add(change)
	}
	return w
}

func (w *write) add(change journal.Change) {
	if w.chunks[len(w.chunks)-1].full() {
		w.chunks = append(w.chunks, chunk{})
	}
	c := &w.chunks[len(w.chunks)-1]
	c.bytes += len(change.Key) + len(change.Value)
	if change.Delete {
		c.gone = append(c.gone, notNil(change.Key))
		return
	}
	c.keys = append(c.keys, notNil(change.Key))
	c.values = append(c.values, notNil(change.Value))
}

// notNil is for pgx, to which nil is NULL.
func notNil(p []byte) []byte {
	if p == nil {
		return []byte{}
	}
	return p
}

// errUnmatched means that the partition is not as this journal has left it, so
// that the transaction has changed nothing.
var errUnmatched = errors.New("the partition is not as this journal has left it")

// attempt tries to store a batch, if nothing has come after the last one.
func (j *owned) attempt(ctx context.Context, w *write) error {
	batches := []*pgx.Batch{j.engine.begin()}
	for i, c := range w.chunks {
		if i > 0 {
			b := &pgx.Batch{}
			b.Queue(j.engine.sql.more, j.id, c.gone, c.keys, c.values)
			batches = append(batches, b)
			continue
		}
		batches[0].Queue(j.engine.sql.advance, j.id, j.owner, j.head.Index,
			w.id, w.next.Keys, encodeDigest(w.next.Digest), c.gone, c.keys, c.values).
			QueryRow(func(row pgx.Row) error {
				var matched int
				if err := row.Scan(&matched); err != nil {
					return err
				}
				if matched == 0 {
					return errUnmatched
				}
				return nil
			})
	}
	return j.engine.transact(ctx, batches...)
}
