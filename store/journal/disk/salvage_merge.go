package disk

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// A merge brings together what a damaged log and damaged pages have of a partition.
//
// Batches that can be read make stretches, between which others are missing. Stretches have
// even numbers, in their order. A tree of the pages is in the stretch with the batch that it
// has reached, or has an odd number, if that is missing. What stands somewhere at the end of a
// stretch is known if it comes out of that stretch, and else may be older.
type merge struct {
	ctx       context.Context
	partition string
	unit      Unit
	emit      func(journal.Change) error
	older     func(unit []byte)

	levels  []level // trees, the newest first, and one below all of them that has nothing
	spans   []span  // by stretch/2
	changes map[string][]logged
	keys    []string // of changes that are to come, in order
	several bool     // there is more than one stretch

	name    []byte // of the unit that comes
	current []candidate
}

type level struct {
	tree    *pages.Tree // nil at the end
	at      uint64      // the index that it has reached
	stretch int
}

// A span is the first entry and the last position of a stretch.
type span struct {
	first wal.Entry
	last  journal.Position
}

// A logged change is the last one of a key in a stretch.
type logged struct {
	journal.Change
	index   uint64
	stretch int
}

// A candidate is a key with all that it may be.
type candidate struct {
	key, value []byte // value is that of the pages
	there      bool   // in the pages
	level      level
	changes    []logged
}

// emit emits a partition.
func (w *wreck) emit(ctx context.Context, partition string, unit Unit, emit func(journal.Change) error) error {
	m := &merge{ctx: ctx, partition: partition, unit: unit, changes: map[string][]logged{}}
	m.older = func(unit []byte) {
		*w.found = append(*w.found, Damage{At: -1, Older: string(unit), Reason: "it is as it was before changes that are lost in part"})
	}
	m.emit = func(c journal.Change) error { return pages.Emitted(emit(c)) }
	if err := w.log.Each(ctx, m.add); err != nil {
		return err
	}
	seen := len(m.spans) > 0
	for _, t := range w.trees {
		seen = seen || slices.Contains(t.Partitions(), partition)
	}
	if !seen {
		return fmt.Errorf("nothing can be seen of partition %.40q", partition)
	}
	m.keys = slices.Sorted(maps.Keys(m.changes))
	m.stack(w.trees)
	if err := m.walk(0, nil, nil); err != nil {
		return err
	}
	return m.flush()
}

// add notes the changes of an entry.
func (m *merge) add(_ uint64, e wal.Entry) error {
	if err := fits(e); err != nil || e.Partition != m.partition {
		return err
	}
	if n := len(m.spans); n == 0 || !follows(m.spans[n-1].last, e) {
		m.spans = append(m.spans, span{first: e})
	}
	m.spans[len(m.spans)-1].last = e.Position
	stretch := 2 * (len(m.spans) - 1)
	for _, c := range e.Changes {
		key := string(c.Key)
		of := m.changes[key]
		if n := len(of); n > 0 && of[n-1].stretch == stretch {
			of = of[:n-1]
		}
		m.changes[key] = append(of, logged{c, e.Index, stretch})
	}
	return nil
}

// follows reports whether nothing is missing between a position and an entry.
func follows(at journal.Position, e wal.Entry) bool {
	return pages.Positions{e.Partition: at}.Add(e) == nil
}

// stack notes where each tree stands. One that does not say so is not older than the next.
func (m *merge) stack(trees []*pages.Tree) {
	m.levels = make([]level, len(trees)+1)
	var at journal.Position
	for i, t := range slices.Backward(trees) {
		if is, known := t.Position(m.partition); known {
			at = is
		}
		m.levels[i] = level{t, at.Index, m.stretchOf(at)}
	}
	m.several = len(m.spans) > 1
	for _, l := range m.levels[:len(trees)] {
		m.several = m.several || len(m.spans) > 0 && l.stretch != 0 || l.stretch != m.levels[0].stretch
	}
}

// stretchOf returns in which stretch a position is, or between which.
func (m *merge) stretchOf(at journal.Position) int {
	for i, s := range m.spans {
		switch {
		case follows(at, s.first):
			return 2 * i
		case before(at, s.first.Position):
			return 2*i - 1
		case !before(s.last, at):
			return 2 * i
		}
	}
	return 2*len(m.spans) - 1
}

func before(a, b journal.Position) bool {
	return a.Index < b.Index || a.Index == b.Index && a.Epoch < b.Epoch
}

// walk goes through a range of keys: through what a tree has of them, and where that is lost
// through what the older ones have.
func (m *merge) walk(n int, first, end []byte) error {
	l := m.levels[n]
	if l.tree == nil {
		return m.upTo(l, end)
	}
	if err := l.tree.Walk(m.ctx, m.partition, first, end, func(key, value []byte) error {
		if err := m.upTo(l, key); err != nil {
			return err
		}
		c := candidate{key: key, value: value, there: true, level: l}
		if len(m.keys) > 0 && m.keys[0] == string(key) {
			m.keys, c.changes = m.keys[1:], m.changes[m.keys[0]]
		}
		return m.take(c)
	}, func(first, end []byte) error {
		if len(first) > 0 {
			if err := m.upTo(l, first); err != nil {
				return err
			}
		}
		return m.walk(n+1, first, end)
	}); err != nil {
		return err
	}
	return m.upTo(l, end)
}

// upTo takes the keys of the log before end, nil for all, which a tree does not have.
func (m *merge) upTo(l level, end []byte) error {
	for len(m.keys) > 0 && (end == nil || m.keys[0] < string(end)) {
		key := m.keys[0]
		m.keys = m.keys[1:]
		if err := m.take(candidate{key: []byte(key), level: l, changes: m.changes[key]}); err != nil {
			return err
		}
	}
	return nil
}

// take takes a key, the last of the unit or the first of the next.
func (m *merge) take(c candidate) error {
	if !m.several || m.unit == nil {
		return m.emitAt(c, c.moments()[0], false)
	}
	n := min(m.unit(c.key), len(c.key))
	if n <= 0 {
		if err := m.flush(); err != nil {
			return err
		}
		for _, at := range c.moments() {
			if _, there, _ := c.at(at); there {
				return m.emitAt(c, at, false)
			}
		}
		return nil
	}
	if len(m.current) > 0 && !bytes.Equal(m.name, c.key[:n]) {
		if err := m.flush(); err != nil {
			return err
		}
	}
	c.key, c.value = bytes.Clone(c.key), bytes.Clone(c.value)
	m.name, m.current = c.key[:n], append(m.current, c)
	return nil
}

// flush emits the unit that came.
func (m *merge) flush() error {
	unit := m.current
	m.current = nil
	var moments []int
	for _, c := range unit {
		moments = append(moments, c.moments()...)
	}
	if len(unit) == 0 {
		return nil
	}
	slices.Sort(moments)
	last := moments[len(moments)-1]
	for _, at := range slices.Backward(moments) {
		if !slices.ContainsFunc(unit, func(c candidate) bool { _, there, known := c.at(at); return there && !known }) {
			last = at
			break
		}
	}
	if last != moments[len(moments)-1] {
		m.older(m.name)
	}
	for _, c := range unit {
		if err := m.emitAt(c, last, true); err != nil {
			return err
		}
	}
	return nil
}

// emitAt emits what a key was at the end of a stretch, if it was there.
func (m *merge) emitAt(c candidate, at int, mustKnow bool) error {
	value, there, known := c.at(at)
	if !there || mustKnow && !known {
		return nil
	}
	return m.emit(journal.Change{Key: c.key, Value: value})
}

// moments returns out of which stretches a key is known, the last one first.
func (c candidate) moments() (all []int) {
	for _, change := range slices.Backward(c.changes) {
		if change.newer(c.level) {
			all = append(all, change.stretch)
		}
	}
	return append(all, c.level.stretch)
}

// newer reports whether a change is none that a tree has already.
func (c logged) newer(l level) bool { return l.tree == nil || c.index > l.at }

// at returns what a key was at the end of a stretch, as far as it is known.
func (c candidate) at(stretch int) (value []byte, there, known bool) {
	for _, change := range slices.Backward(c.changes) {
		if change.stretch <= stretch && change.newer(c.level) {
			return change.Value, !change.Delete, change.stretch == stretch
		}
	}
	return c.value, c.there, c.level.stretch == stretch
}
