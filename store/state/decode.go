package state

import (
	"encoding/binary"
	goruntime "runtime"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/session"
)

// Records are read in batches, each on a goroutine of its own, as many at a time as there
// are processors. They are put into the State in their order, on the goroutine that calls
// Put. There alone is it found which record is the first that cannot be.
const (
	batchBytes   = 256 << 10 // of keys and values
	batchRecords = 512
)

// A batch is some records that follow each other. It is used again and again.
type batch struct {
	records []record
	bytes   []byte        // of the records' keys and values
	decoded chan struct{} // gets one when all are
}

// A record has been decoded as far as that needs no other.
type record struct {
	journal.Change
	payloadReader
	err error // the value is not whole, or of a newer format
}

// decoded is what a payload is, if that can be read without other records. Nothing is left
// of the payload then.
type decoded struct {
	input   input
	receipt *Receipt // without its run
	leaf    *session.Part
}

// add copies a change to the end of a batch, and reports whether that is full now.
func (b *batch) add(c journal.Change) (full bool) {
	at := len(b.bytes)
	b.bytes = append(append(b.bytes, c.Key...), c.Value...)
	own := b.bytes[at:]
	c.Key, c.Value = own[:len(c.Key):len(c.Key)], own[len(c.Key):]
	b.records = append(b.records, record{Change: c})
	return len(b.bytes) >= batchBytes || len(b.records) >= batchRecords
}

func (b *batch) decode() {
	for i := range b.records {
		b.records[i].decode()
	}
}

func (r *record) decode() {
	if r.version, r.rest, r.err = open(r.Change); r.err != nil {
		return
	}
	key := r.Key
	switch {
	case len(key) == 1+8 && key[0] == keyRoot:
		if bytes := r.rest; len(bytes) > 1 && bytes[0] == 0 && len(bytes)-1 <= session.MaxBytes {
			r.read.leaf, r.rest = session.LeafOf(string(bytes[1:])), nil
		}
	case len(key) == 1+8+1+8 && key[0] == keyRuntime && key[9] == subInput:
		r.read.input = r.input()
	case len(key) == 1+8+1+8+8 && key[0] == keyRuntime && key[9] == subReceipt:
		r.read.receipt = r.receipt(binary.BigEndian.Uint64(key[1+8+1+8:]))
	}
}

// Put takes the next record. It keeps none of the slices. The error is
// journal.ErrCorrupt, or journal.ErrNewerFormat. It may be that of an earlier record, and
// that of this one may come with a later Put or with Done.
func (r *Replay) Put(c journal.Change) error {
	if r.err != nil {
		return r.err
	}
	r.records++
	if len(c.Key)+len(c.Value) > batchBytes { // not worth a copy
		if err := r.drain(); err != nil {
			return err
		}
		alone := record{Change: c}
		alone.decode()
		return r.end(r.apply(&alone))
	}
	if r.filling == nil {
		r.filling = &batch{decoded: make(chan struct{}, 1)}
	}
	if !r.filling.add(c) {
		return nil
	}
	var free *batch
	if len(r.decoding) >= goruntime.GOMAXPROCS(0) {
		var err error
		if free, err = r.applyFirst(); err != nil {
			return err
		}
	}
	b := r.filling
	r.decoding, r.filling = append(r.decoding, b), free
	go func() {
		b.decode()
		b.decoded <- struct{}{}
	}()
	return nil
}

// drain applies all that has been put.
func (r *Replay) drain() error {
	for len(r.decoding) > 0 && r.err == nil {
		_, _ = r.applyFirst()
	}
	if r.err == nil && r.filling != nil {
		r.filling.decode()
		return r.applyBatch(r.filling)
	}
	return r.err
}

// applyFirst applies the first batch that is being decoded, and returns it, empty.
func (r *Replay) applyFirst() (*batch, error) {
	b := r.decoding[0]
	r.decoding = r.decoding[1:]
	<-b.decoded
	return b, r.applyBatch(b)
}

func (r *Replay) applyBatch(b *batch) error {
	for i := range b.records {
		if err := r.apply(&b.records[i]); err != nil {
			return r.end(err)
		}
	}
	clear(b.records)
	b.records, b.bytes = b.records[:0], b.bytes[:0]
	return nil
}

// end ends the building after an error, and returns that.
func (r *Replay) end(err error) error {
	if err != nil {
		r.err = err
		r.Close()
	}
	return err
}

// Close leaves nothing running, and is needed only if Done is not called. It may be called
// more than once.
func (r *Replay) Close() {
	for _, b := range r.decoding {
		<-b.decoded
	}
	r.decoding, r.filling = nil, nil
}

// expected is how many values to make room for, of a number that a record says. A wrong one
// is found when the values have not come.
func expected(n uint64) int { return int(min(n, 1<<16)) }

// expect makes room for what the first record counts.
func (r *Replay) expect() {
	s, n := r.state, r.root
	s.runtimes = make(map[store.RuntimeID]*runtime, expected(n.runtimes))
	s.order.expect(expected(n.runtimes))
	s.sessions.expect(expected(n.sessions))
	s.stones.expect(expected(n.stones))
	s.feed.deleted.expect(expected(n.deleted))
	s.texts.held = make(map[*session.Part]heldPart, expected(n.parts))
	r.parts = make(map[uint64]*session.Part, expected(n.parts))
}

// expect makes room for what the head of a runtime counts.
func (o *pending) expect() {
	o.rt.inputs.expect(expected(o.counts[0]))
	o.rt.runs.expect(expected(o.counts[1]))
	o.rt.dropped.expect(expected(o.counts[2]))
	if n := o.counts[5]; n > 0 {
		o.rt.more().used.expect(expected(n))
	}
}
