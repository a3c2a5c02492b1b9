package state

import (
	"fmt"
	"iter"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// An Import is a State on its way into another one. If that has a journal, its records
// go there in pieces first, as left-overs, at places that nothing else gets. Then the
// other one adopts it, which is a change of one record. So there is one import at a time
// that has left-overs, and no others are there.
type Import struct {
	from  *State
	to    *State
	piece int64  // bytes, 0 without a journal
	leap  uint64 // that the versions of its inputs make
}

// importPlaces is where the places and names of an import begin. Fewer are given while it
// is under way.
const importPlaces = 1 << 32

// BeginImport begins one. The error is store.ErrNotEmpty if s has held anything. The leap is
// a random number.
func (s *State) BeginImport(leap uint32) (*Import, error) {
	if s.revision > 0 {
		return nil, store.ErrNotEmpty
	}
	i := &Import{to: s, leap: 1<<32 + uint64(leap)}
	if s.group != nil {
		i.piece = s.piece()
	}
	return i, nil
}

// mayImport returns why a piece may not be stored now, or an import not take effect. With
// the first piece it looks at the limits too.
func (s *State) mayImport(i *Import, first bool) error {
	if err := s.mayAdopt(i.from, first); err != nil {
		return err
	}
	if g := s.group; g != nil && g.left != i.from.staged {
		return errCleared
	}
	return nil
}

var errCleared = fmt.Errorf("%w: the journal has records of another import, or that are being cleared", store.ErrBusy)

// Pieces returns the pieces of what is to be imported, if there is a journal to take
// them. Whoever asks for the next one has stored the one before it. from must not be
// used any more.
//
// All inputs get a version that is so far beyond the revision that none before had it, and
// the next revision comes after it: what is imported is not what it was taken from, which
// goes on to have revisions of its own.
func (i *Import) Pieces(from *State) iter.Seq[Piece] {
	i.from = from
	from.fence(i.leap)
	from.feed = feed{} // nobody follows it any more
	from.requeue(i.to.Queue)
	return func(yield func(Piece) bool) {
		if i.piece == 0 {
			return
		}
		if from.next == 0 && from.stones.next == 0 {
			return // it has nothing
		}
		from.moveTo(importPlaces)
		p, bytes := Piece{to: i.to, of: i}, int64(0)
		for record := range i.records() {
			size := int64(len(record.Key) + len(record.Value))
			if bytes += size; bytes > i.piece && len(p.changes) > 0 {
				if !yield(p) {
					return
				}
				from.staged += uint64(len(p.changes))
				p.changes, bytes = nil, size
			}
			p.changes = append(p.changes, record)
		}
		if len(p.changes) > 0 && yield(p) {
			from.staged += uint64(len(p.changes))
		}
		from.texts.store(true)
	}
}

// records returns all but the first.
func (i *Import) records() iter.Seq[journal.Change] {
	return func(yield func(journal.Change) bool) {
		for record := range i.from.Records() {
			if len(record.Key) > len(rootKey) && !yield(record) {
				return
			}
		}
	}
}

// Stored reports whether a journal has pieces of it.
func (i *Import) Stored() bool { return i.from.staged > 0 }

// Abort returns the piece that ends an import without effect: what is stored of it is
// cleared.
func (i *Import) Abort() Piece { return Piece{to: i.to, of: i, aborted: true} }

// keys returns those of the records that were stored.
func (i *Import) keys() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		left := i.from.staged
		for record := range i.records() {
			if left == 0 || !yield(record.Key) {
				return
			}
			left--
		}
	}
}

var errOtherImport = &store.ValueError{Field: "import", Reason: "not begun by this store"}

// EndImport lets an import take effect. The error is that of Adopt.
func (s *State) EndImport(i *Import) (store.Totals, error) {
	if i == nil || i.to != s || i.from == nil {
		return store.Totals{}, errOtherImport
	}
	if err := s.mayImport(i, false); err != nil {
		return store.Totals{}, err
	}
	held := i.from.Totals()
	return held, s.Adopt(i.from)
}

// fence gives all inputs a version that is so much beyond the revision.
func (s *State) fence(leap uint64) {
	if s.revision == 0 {
		return
	}
	s.leap = min(max(s.revision, s.leap)+leap, MaxRevision)
	for rt := range s.order.all() {
		for _, c := range rt.inputs.values.chunks {
			for at := range c.items {
				c.items[at].value.version = s.leap
			}
		}
	}
}

// moveTo adds to all places and names.
func (s *State) moveTo(base uint64) {
	s.next += base
	s.order.move(base)
	for rt := range s.order.all() {
		rt.place += base
	}
	s.sessions.move(base)
	s.stones.move(base)
	s.texts.names += base
	for p, h := range s.texts.held {
		if h.name > 0 {
			h.name += base
			s.texts.held[p] = h
		}
	}
}

// move adds to all places. No copy of the values may be in use.
func (s *series[K, V]) move(by uint64) {
	s.next += by
	s.values.move(by)
	for key := range s.places {
		s.places[key] += by
	}
}

// move adds to all numbers. No copy may be in use.
func (l *list[V]) move(by uint64) {
	for _, c := range l.chunks {
		for i := range c.items {
			c.items[i].number += by
		}
	}
}
