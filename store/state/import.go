package state

import (
	"iter"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// An Import is a State on its way into another one. If that has a journal, its records
// go there in pieces first, as left-overs, at places that nothing else gets. Then the
// other one adopts it, which is a change of one record.
type Import struct {
	from  *State
	to    *State
	base  uint64 // of its places and names, 0 without a journal
	piece int64  // bytes
}

// importPlaces is how far the places of an import are from all others. More are not
// given while it is under way.
const importPlaces = 1 << 32

// BeginImport begins one. The error is store.ErrNotEmpty if s has held anything.
func (s *State) BeginImport() (*Import, error) {
	if s.revision > 0 {
		return nil, store.ErrNotEmpty
	}
	if s.group == nil {
		return &Import{to: s}, nil
	}
	if s.given = max(s.given, s.next, s.sessions.next, s.texts.names) + importPlaces; s.given > maxPlace/2 {
		return nil, store.ErrRevisionExhausted // as of a forged journal
	}
	return &Import{to: s, base: s.given, piece: s.piece()}, nil
}

// Pieces returns the pieces of what is to be imported, if there is a journal to take
// them. Whoever asks for the next one has stored the one before it. from must not be
// used any more.
func (i *Import) Pieces(from *State) iter.Seq[Piece] {
	i.from = from
	return func(yield func(Piece) bool) {
		if i.base == 0 {
			return
		}
		from.moveTo(i.base)
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

// Last returns the piece that ends an import which cannot become true: what is stored
// of it is cleared.
func (i *Import) Last() Piece { return Piece{to: i.to, of: i, last: true} }

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

// EndImport makes all of an import true. The error is that of Adopt.
func (s *State) EndImport(i *Import) (store.Totals, error) {
	if i == nil || i.to != s || i.from == nil {
		return store.Totals{}, errOtherImport
	}
	held := i.from.Totals()
	return held, s.Adopt(i.from)
}

// moveTo adds to all places and names.
func (s *State) moveTo(base uint64) {
	s.first = base
	s.next += base
	s.order.move(base)
	for rt := range s.order.all() {
		rt.place += base
	}
	s.sessions.next += base
	s.sessions.values.move(base)
	for id := range s.sessions.places {
		s.sessions.places[id] += base
	}
	s.texts.names += base
	for p, h := range s.texts.held {
		if h.name > 0 {
			h.name += base
			s.texts.held[p] = h
		}
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
