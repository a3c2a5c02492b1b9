package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/loopstore/loopstore/store/journal"
)

const (
	// An index entry, which has more than the key, may take a third of a page.
	maxKey = 2600
	// The server takes a gigabyte in one message, but holds several copies of it.
	maxValue = 128 << 20
	maxBatch = 256 << 20

	chunkBytes   = 8 << 20  // of keys and values; a round trip that has as many takes no more
	chunkChanges = 16 << 10 // likewise
)

// A write is a batch on its way.
type write struct {
	id        [16]byte
	next      journal.Head
	chunks    []chunk                      // never none
	digests   map[[16]byte]*journal.Digest // of what changes, nil of what goes
	uncertain bool                         // an earlier try may have stored it, or still may
}

// A chunk is what one round trip takes. No key is in two chunks.
type chunk struct {
	gone, keys, values [][]byte
	bytes              int
}

// prepare returns the head after a batch, and what to send: the last change of each
// key, without deletes of absent keys.
func (p *partition) prepare(b journal.Batch) *write {
	w := &write{id: b.ID, next: p.head, chunks: make([]chunk, 1), digests: make(map[[16]byte]*journal.Digest, len(b.Changes))}
	w.next.Index++
	for _, change := range slices.Backward(b.Changes) {
		id := idOf(change.Key)
		if _, seen := w.digests[id]; seen {
			continue
		}
		w.digests[id] = nil
		old, stood := p.digests[id]
		if stood {
			w.next.Keys--
			w.next.Digest.Minus(old)
		}
		switch {
		case !change.Delete:
			digest := journal.DigestOf(change.Key, change.Value)
			w.next.Keys++
			w.next.Digest.Plus(digest)
			w.digests[id] = &digest
		case !stood:
			continue
		}
		w.add(change)
	}
	return w
}

// stored makes a batch that is stored the last one.
func (p *partition) stored(w *write) {
	p.head = w.next
	for id, digest := range w.digests {
		if digest != nil {
			p.digests[id] = *digest
		} else {
			delete(p.digests, id)
		}
	}
}

func (w *write) add(change journal.Change) {
	c := &w.chunks[len(w.chunks)-1]
	if c.bytes >= chunkBytes || len(c.gone)+len(c.keys) >= chunkChanges {
		w.chunks = append(w.chunks, chunk{})
		c = &w.chunks[len(w.chunks)-1]
	}
	c.bytes += len(change.Key) + len(change.Value)
	if change.Delete {
		c.gone = append(c.gone, notNil(change.Key))
		return
	}
	c.keys = append(c.keys, notNil(change.Key))
	c.values = append(c.values, notNil(change.Value))
}

// notNil returns p, but never nil, which pgx sends as NULL.
func notNil(p []byte) []byte {
	if p == nil {
		return []byte{}
	}
	return p
}

// errUnmatched means that the transaction has changed nothing, because the partition
// is not as this journal left it.
var errUnmatched = errors.New("the partition is not as this journal left it")

// attempt tries to store a batch directly behind the last one.
func (p *partition) attempt(ctx context.Context, w *write) error {
	first := p.engine.begin()
	first.Queue(p.engine.sql.advance, p.id, p.holder, p.head.Index,
		w.id, w.next.Keys, encodeDigest(w.next.Digest), w.chunks[0].gone, w.chunks[0].keys, w.chunks[0].values).
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
	batches := []*pgx.Batch{first}
	for _, c := range w.chunks[1:] {
		b := &pgx.Batch{}
		b.Queue(p.engine.sql.more, p.id, c.gone, c.keys, c.values)
		batches = append(batches, b)
	}
	return p.engine.transact(ctx, batches...)
}
