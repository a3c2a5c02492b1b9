package state

import (
	"fmt"
	"iter"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// A journal takes only so much at once. So it may have records of what is not held:
// the pieces of an import that is not true yet, or never will be, and what a large
// deletion has left. These are left-overs. The first record says how many there are,
// and what the others say tells which: a left-over stands at a place, or under a name,
// that has not been given; or its runtime, or that which filed it, has no head; or it is a
// part that no text has, or a list of parts of which one is cleared already.
type leftOvers struct {
	records uint64             // how many the journal has
	fresh   []iter.Seq[[]byte] // keys of those that nobody clears yet
}

// A Piece is a change of left-overs, for one batch.
type Piece struct {
	to      *State  // whose journal it is for
	of      *Import // that it is a piece of; nil if its records go
	changes []journal.Change
	aborted bool // the import
}

// StorePiece puts a piece into the group. The error is store.ErrBusy, of a piece of an
// import, as long as the journal has other left-overs; or that of Adopt, if the import
// cannot become true any more.
func (s *State) StorePiece(p Piece) error {
	g, n := s.group, uint64(len(p.changes))
	switch {
	case g == nil || p.to != s:
		return errOtherImport
	case p.aborted:
		g.fresh = append(g.fresh, p.of.keys())
	case p.of == nil:
		g.left -= n
		g.clears = true
	case g.clears: // maybe the records at the places of this piece
		return errCleared
	default:
		if err := s.mayImport(p.of, p.of.from.staged == 0); err != nil {
			return err
		}
		g.left += n
	}
	g.pieces = append(g.pieces, p.changes...)
	return nil
}

// LeftOvers returns how many records the journal has of what is not held.
func (s *State) LeftOvers() uint64 { return s.left.records }

// CheckRecords returns an error as long as Records are not all that the journal needs: a
// journal that is told to keep them alone would lose the rest. It is store.ErrBusy if that
// passes, and else an *AsideError.
func (s *State) CheckRecords() error {
	if s.HasAsides() {
		return &AsideError{s.Asides()[0]}
	}
	if n := s.left.records; n > 0 {
		return fmt.Errorf("%w: %d records are left to be cleared, or of an import that is under way", store.ErrBusy, n)
	}
	return nil
}

// Clearing returns the left-overs that nobody clears yet, as the pieces that remove
// them. Each sequence may be used once, by any goroutine.
func (s *State) Clearing() (clearing []iter.Seq[Piece]) {
	for _, keys := range s.left.fresh {
		clearing = append(clearing, s.removing(keys))
	}
	s.left.fresh = nil
	return clearing
}

func (s *State) removing(keys iter.Seq[[]byte]) iter.Seq[Piece] {
	most := s.removals()
	return func(yield func(Piece) bool) {
		var changes []journal.Change
		for key := range keys {
			if changes = append(changes, remove(key)); len(changes) < most {
				continue
			}
			if !yield(Piece{to: s, changes: changes}) {
				return
			}
			changes = nil
		}
		if len(changes) > 0 {
			yield(Piece{to: s, changes: changes})
		}
	}
}

const (
	pieceBytes   = 1 << 20 // of records that are put into a batch, about
	mostRemovals = 4096
	removalBytes = 48 // no less than one takes
)

// piece returns how many bytes of records a batch has room for at any time.
func (s *State) piece() int64 {
	if s.BatchBytes > 0 {
		return min(pieceBytes, s.BatchBytes/4)
	}
	return pieceBytes
}

// removals returns how many records a batch removes that need not go with it.
func (s *State) removals() int { return int(max(2, min(mostRemovals, s.piece()/removalBytes))) }

// gone returns the runtimes that the group has deleted, each with the parts that are in
// the log, and how many records they had. Of one that the group has made, all are.
func (s *State) gone() (gone map[*runtime]map[part]bool, records int) {
	for _, c := range s.log {
		if c.part.kind == theRuntime && c.rt.deleted && gone[c.rt] == nil {
			if gone == nil {
				gone = make(map[*runtime]map[part]bool)
			}
			gone[c.rt] = map[part]bool{{kind: theVersion}: true}
			records += c.rt.records()
		}
	}
	if gone == nil {
		return nil, 0
	}
	for _, c := range s.log {
		if logged := gone[c.rt]; logged != nil && c.part.kind != theRuntime {
			logged[c.part.recorded()] = true
		}
	}
	return gone, records
}

// goneFiled returns the places of filed snapshots that go with runtimes that are gone.
func (s *State) goneFiled(gone map[*runtime]map[part]bool) (places []uint64) {
	if len(gone) == 0 {
		return nil
	}
	by := make(map[store.RuntimeID]bool, len(gone))
	for rt := range gone {
		by[rt.id] = true
	}
	seen := make(map[uint64]bool)
	for _, c := range s.log {
		if c.part.kind != aFiled || seen[c.part.at] {
			continue
		}
		seen[c.part.at] = true // the first knows what the journal has
		_, stands := s.sessions.values.get(c.part.at)
		if before := c.old.filed; before != nil && before.chunks == 0 && by[before.by] && !stands {
			places = append(places, c.part.at)
		}
	}
	return places
}

// leaveAll leaves what the group removes from the journal, but for the other parts in the
// log.
func (g *group) leaveAll(gone map[*runtime]map[part]bool, names, filed []uint64) {
	g.leave = leftOvers{records: uint64(len(names) + len(filed))}
	if len(names) > 0 {
		g.leave.fresh = append(g.leave.fresh, keysOf(names, partKey))
	}
	if len(filed) > 0 {
		g.leave.fresh = append(g.leave.fresh, keysOf(filed, func(at uint64) []byte { return keyOf(keyFiled, at, subHead) }))
	}
	for rt, logged := range gone {
		g.leave.records += uint64(rt.records())
		for p := range logged {
			g.leave.records -= uint64(rt.recordsOf(p))
		}
		g.leave.fresh = append(g.leave.fresh, rt.recordKeys(logged))
	}
}

func keysOf(numbers []uint64, key func(uint64) []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, n := range numbers {
			if !yield(key(n)) {
				return
			}
		}
	}
}

// records returns how many records a runtime has.
func (rt *runtime) records() int {
	return rt.recordsOf(part{kind: theVersion}) + rt.runs.values.len + rt.dropped.values.len + rt.held.Receipts + rt.inputs.values.len +
		rt.recordsOf(part{kind: theSession}) + rt.past.len + rt.few().used.values.len
}

// recordsOf returns how many records a runtime has of a part.
func (rt *runtime) recordsOf(p part) int {
	there := false
	switch p.kind {
	case theVersion:
		there = true
	case theSession:
		if there = rt.session != nil; there && rt.session.chunks > 0 {
			return int(rt.session.chunks)
		}
	case aPast:
		_, there = rt.past.get(p.at)
	case aRun:
		_, there = rt.runs.values.get(p.at)
	case aDropped:
		_, there = rt.dropped.values.get(p.at)
	case aReceipt:
		if r, ok := rt.runs.values.get(p.at); ok {
			there = r.get(p.nth) != nil
		}
	case anInput:
		_, there = rt.inputs.values.get(p.at)
	case aKey:
		_, there = rt.few().used.values.get(p.at)
	}
	if there {
		return 1
	}
	return 0
}

// recordKeys returns the keys of a runtime that does not change any more, but for those of
// some parts.
func (rt *runtime) recordKeys(but map[part]bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for p := range rt.parts() {
			if but[p] {
				continue
			}
			keys := []journal.Change{remove(p.key(rt.place))}
			if p.kind == theSession && rt.session.chunks > 0 {
				keys = removeChunks(nil, keyRuntime, rt.place, rt.session.chunks)
			}
			for _, c := range keys {
				if !yield(c.Key) {
					return
				}
			}
		}
	}
}

// recorded returns the part whose record has a part of a runtime.
func (p part) recorded() part {
	switch p.kind {
	case theState, theLatest, theOrigin, theLabels, theFloor, theHighestOfAll:
		return part{kind: theVersion}
	case theHighest:
		return part{kind: aRun, at: p.at}
	}
	return p
}
