package state

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"iter"
	"maps"
	"slices"

	"github.com/loopstore/loopstore/store/journal"
)

// How a State stands in a journal. Package journal says what keys and values are
// to it; this is what they are to a State. Places are those of the lists in
// memory, so a list is in its order by the order of its keys. Nothing has two
// places in a row, and no place is ever another's: a runtime that is deleted and
// made again has a new one.
//
//	key                                  payload of the value
//	0                                    revision, next place of a runtime, runtimes, filed snapshots,
//	                                     next place of one, parts of texts, last name of one,
//	                                     left-overs, parts of what was set aside, perhaps, and of
//	                                     nothing else, number that the next revision comes after
//	                                     too, or 0, tombstones, next place of one, number that names the
//	                                     feed of changes, or 0, deletions, next place of one, highest
//	                                     revision of one that is forgotten
//	0 name                               part of a text: 0 and its bytes, or 1 and the names of the
//	                                     parts that it lists, all lower than its own
//	1 place 0                            runtime: id, version, state, input states, runs, dropped
//	                                     runs, receipts, versions of the session, 1 and the latest
//	                                     receipt's place of its run and sequence, or 0, 1 and the id
//	                                     and number that it was forked from, or 0, next places of an
//	                                     input, of a run, and of a dropped run, Unix nanoseconds when
//	                                     it was made and written to last, each 0 if that is not known,
//	                                     1 and the sequence that new runs come after, or 0, number of
//	                                     labels, their keys and values by ascending keys, number of
//	                                     kept keys, next place of one
//	1 place 1 place                      run: id, highest sequence
//	1 place 2 place                      run without receipts: id, highest sequence
//	1 place 3 place-of-run sequence      receipt: boundary (0 immediate, 1 run_start, 2
//	                                     run_checkpoint), messages, digest (0 none, 1 its 32 bytes, 2
//	                                     a text), number of inputs, their ids
//	1 place 4 place                      input state: see input_record.go
//	1 place 7                            last version of the session: number, Unix seconds when it was
//	                                     made, or 0, 1 and the run and sequence that it was committed
//	                                     at, or 0, snapshot
//	1 place 8 number                     earlier version, likewise
//	1 place 9 place                      kept key: text, id of its last input, Unix nanoseconds when
//	                                     that lost it
//	2 place 0                            filed snapshot: session id, place of the runtime that filed
//	                                     it, snapshot
//	3 place 0                            tombstone: id of the runtime, revision and Unix nanoseconds of
//	                                     its deletion, 1 and the highest sequence of any run, or 0,
//	                                     number of kept keys, these as they are in records of theirs
//	4 place 0                            deletion that the feed of changes remembers: id of the runtime,
//	                                     revision, place that the runtime had
//
// A snapshot is the name of its text's part that has all of it, 0 if it is empty, and
// the format (0 unset, 1 meerkat, 2 lines, 3 opaque). Unless that is unset, the
// digest, 32 bytes, and the number of messages follow, and of meerkat the id and where
// the messages begin and end.
//
// In a key 0 to 9 are one byte, other numbers eight, the highest first. In a
// payload numbers are unsigned varints of encoding/binary, ids 16 bytes, and
// texts have their length before them. A value is the format's version,
// one byte, the payload, and the CRC-32C of key, version and payload, four bytes,
// the lowest first.
//
// Records of what is not held, left-overs, are passed over: see leftOvers.
//
// The version is 4. In version 3 an input has no revision, there are neither kept keys
// nor tombstones nor deletions, the first record ends before the number that the next revision comes
// after, and a runtime's after the next places.
//
// In versions 1 and 2 an input state is its JSON without
// persisted_input, with the length before it, and then 1 and that as it is, or 0, and the
// first record ends before the left-overs. There are none then, and nothing was set aside.
//
// In version 1 the first record ends after the filed snapshots; a
// runtime's has no versions, and ends after the latest receipt; a filed snapshot's has
// no snapshot; and snapshots stand in records of their own:
//
//	1 place 5, 2 place 5                 snapshot: bytes, 1 if it was read as a session document, or 0
//	1 place 6 number, 2 place 6 number   16 KiB of it, or the rest
//
// Such a snapshot stays as it is until it is replaced.
const (
	recordVersion = 4

	keyRoot    = 0
	keyRuntime = 1
	keyFiled   = 2
	keyStone   = 3
	keyDeleted = 4

	subHead     = 0
	subRun      = 1
	subDropped  = 2
	subReceipt  = 3
	subInput    = 4
	subSnapshot = 5 // of version 1
	subChunk    = 6 // of version 1
	subSession  = 7
	subPast     = 8
	subKey      = 9

	snapshotChunk = 16 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// rootKey is the key of the record that is about everything.
var rootKey = []byte{keyRoot}

func keyOf(kind byte, place uint64, sub byte, numbers ...uint64) []byte {
	key := binary.BigEndian.AppendUint64([]byte{kind}, place)
	key = append(key, sub)
	for _, n := range numbers {
		key = binary.BigEndian.AppendUint64(key, n)
	}
	return key
}

// put is the change to a payload that fill appends.
func put(key []byte, fill func([]byte) []byte) journal.Change {
	return sealed(recordVersion, key, fill)
}

// sealed is a change as it is in a version of the format.
func sealed(version byte, key []byte, fill func([]byte) []byte) journal.Change {
	value := fill([]byte{version})
	return journal.Change{Key: key, Value: binary.LittleEndian.AppendUint32(value, check(key, value))}
}

func remove(key []byte) journal.Change { return journal.Change{Key: key, Delete: true} }

func check(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// Changes returns what a journal must store of the group so far: each key once,
// in ascending order, and none if nothing has changed. What is to be removed besides,
// and is too much for a batch, is left for later ones.
func (s *State) Changes() []journal.Change {
	g := s.group
	switch {
	case g.adopted != nil && g.adopted.staged == 0:
		changes := slices.Collect(s.Records())
		changes[0] = s.rootRecord(g.left, 0)
		return inOrder(append(changes, g.pieces...))
	case g.adopted == nil && len(s.log) == 0 && len(g.pieces) == 0:
		return nil
	}
	gone, records := s.gone()
	changes, names := s.texts.records()
	if len(s.aside.runtimes) > 0 { // which may have these parts too
		g.kept, names = uint64(len(names)), nil
	}
	filed := s.goneFiled(gone)
	if records+len(names)+len(filed) <= s.removals() {
		g.leaveAll(nil, nil, nil)
		filed = nil
		for _, name := range names {
			changes = append(changes, remove(partKey(name)))
		}
		for rt := range gone {
			for key := range rt.recordKeys(nil) {
				changes = append(changes, journal.Change{Key: key, Delete: true})
			}
		}
	} else {
		g.leaveAll(gone, names, filed)
	}
	type where struct {
		rt   *runtime
		part part
	}
	changes = append(append(changes, g.pieces...), s.rootRecord(g.left+g.leave.records, g.kept))
	seen := make(map[where]bool, len(s.log))
	for _, at := range filed {
		seen[where{part: part{kind: aFiled, at: at}}] = true // left
	}
	for _, c := range s.log {
		if at := (where{c.rt, c.part}); !seen[at] { // the first knows what the journal has
			seen[at] = true
			changes = s.appendRecords(changes, c)
		}
	}
	return inOrder(changes)
}

// inOrder returns the changes in ascending order of the keys, each once.
func inOrder(changes []journal.Change) []journal.Change {
	slices.SortFunc(changes, func(a, b journal.Change) int { return bytes.Compare(a.Key, b.Key) })
	return slices.CompactFunc(changes, func(a, b journal.Change) bool {
		same := bytes.Equal(a.Key, b.Key)
		if same && a.Delete != b.Delete {
			panic("state: a record is stored and removed at once")
		}
		return same
	})
}

// appendRecords appends the records of a part as it stands now. Those of a runtime that
// has gone are left to Changes, but for those of the part.
func (s *State) appendRecords(to []journal.Change, c change) []journal.Change {
	rt, p := c.rt, c.part.recorded()
	there := rt != nil && !rt.deleted
	switch p.kind {
	case theRuntime:
		return to
	case theVersion:
		if there {
			return append(to, rt.head())
		}
	case theSession:
		if before := c.old.version; before != nil {
			to = removeChunks(to, keyRuntime, rt.place, before.chunks)
		}
		if there && rt.session != nil {
			return append(to, s.versionRecord(rt, subSession, rt.session))
		}
	case aPast:
		if v, ok := rt.past.get(p.at); ok && there {
			return append(to, s.versionRecord(rt, subPast, v, p.at))
		}
	case aFiled:
		if before := c.old.filed; before != nil {
			to = removeChunks(to, keyFiled, p.at, before.chunks)
		}
		if f, ok := s.sessions.values.get(p.at); ok {
			return append(to, s.filedRecord(p.at, f))
		}
		return append(to, remove(keyOf(keyFiled, p.at, subHead)))
	case theForgotten:
		return to // it is in the first record
	case aDeletion:
		if d, ok := s.feed.deleted.values.get(p.at); ok {
			return append(to, deletionRecord(p.at, d))
		}
		return append(to, remove(keyOf(keyDeleted, p.at, subHead)))
	case aTombstone:
		if t, ok := s.stones.values.get(p.at); ok {
			return append(to, stoneRecord(p.at, t))
		}
		return append(to, remove(keyOf(keyStone, p.at, subHead)))
	case aKey:
		if u, ok := rt.few().used.values.get(p.at); ok && there {
			return append(to, keyRecord(rt, p.at, u))
		}
	case aRun:
		r, ok := rt.runs.values.get(p.at)
		if ok && there {
			return append(to, runRecord(rt, subRun, p.at, dropped{r.id, r.highest}))
		}
		if before := c.old.run; before != nil {
			for receipt := range before.receipts.all() {
				to = append(to, remove(keyOf(keyRuntime, rt.place, subReceipt, p.at, receipt.Sequence)))
			}
		}
	case aDropped:
		if left, ok := rt.dropped.values.get(p.at); ok && there {
			return append(to, runRecord(rt, subDropped, p.at, left))
		}
	case aReceipt:
		if r, ok := rt.runs.values.get(p.at); ok && there && r.get(p.nth) != nil {
			return append(to, receiptRecord(rt, p.at, r.get(p.nth)))
		}
	case anInput:
		if in, ok := rt.inputs.values.get(p.at); ok && there {
			return append(to, inputRecord(rt, p.at, in))
		}
	}
	return append(to, remove(p.key(rt.place)))
}

// key returns the key of a runtime's part that has a record.
func (p part) key(place uint64) []byte {
	switch p.kind {
	case theSession:
		return keyOf(keyRuntime, place, subSession)
	case aPast:
		return keyOf(keyRuntime, place, subPast, p.at)
	case aRun:
		return keyOf(keyRuntime, place, subRun, p.at)
	case aDropped:
		return keyOf(keyRuntime, place, subDropped, p.at)
	case aReceipt:
		return keyOf(keyRuntime, place, subReceipt, p.at, p.nth)
	case anInput:
		return keyOf(keyRuntime, place, subInput, p.at)
	case aKey:
		return keyOf(keyRuntime, place, subKey, p.at)
	}
	return keyOf(keyRuntime, place, subHead)
}

// Records returns all that is held, in ascending order of the keys. Nothing may
// be changed meanwhile.
func (s *State) Records() iter.Seq[journal.Change] {
	return func(yield func(journal.Change) bool) {
		more := yield(s.rootRecord(s.left.records, 0))
		emit := func(c change) bool {
			records := s.standing(c)
			if records == nil {
				records = s.appendRecords(nil, c)
			}
			for _, record := range records {
				more = more && yield(record)
			}
			return more
		}
		for p := range s.texts.all() {
			if more = more && yield(s.texts.record(p)); !more {
				return
			}
		}
		for rt := range s.order.all() {
			for p := range rt.parts() {
				if !emit(change{rt: rt, part: p}) {
					return
				}
			}
		}
		for at := range s.sessions.values.from(0) {
			if !emit(change{part: part{kind: aFiled, at: at}}) {
				return
			}
		}
		for at := range s.stones.values.from(0) {
			if !emit(change{part: part{kind: aTombstone, at: at}}) {
				return
			}
		}
		for at := range s.feed.deleted.values.from(0) {
			if !emit(change{part: part{kind: aDeletion, at: at}}) {
				return
			}
		}
	}
}

// parts returns the parts of a runtime that have records, in the order of their
// keys.
func (rt *runtime) parts() iter.Seq[part] {
	return func(yield func(part) bool) {
		more := yield(part{kind: theVersion})
		for at := range rt.runs.values.from(0) {
			more = more && yield(part{kind: aRun, at: at})
		}
		for at := range rt.dropped.values.from(0) {
			more = more && yield(part{kind: aDropped, at: at})
		}
		for at, r := range rt.runs.values.from(0) {
			for sequence := range r.receipts.from(0) {
				more = more && yield(part{kind: aReceipt, at: at, nth: sequence})
			}
		}
		for at := range rt.inputs.values.from(0) {
			more = more && yield(part{kind: anInput, at: at})
		}
		if rt.session != nil {
			more = more && yield(part{kind: theSession})
		}
		for number := range rt.past.from(0) {
			more = more && yield(part{kind: aPast, at: number})
		}
		for at := range rt.few().used.values.from(0) {
			more = more && yield(part{kind: aKey, at: at})
		}
	}
}

func (s *State) rootRecord(leftOvers, kept uint64) journal.Change {
	return put(rootKey, func(b []byte) []byte {
		aside := s.aside.counts
		return appendNumbers(b, s.revision, s.next, uint64(s.order.len)+aside.runtimes, uint64(s.sessions.values.len)+aside.sessions, s.sessions.next,
			uint64(s.texts.written)+aside.parts, s.texts.names, leftOvers, aside.kept+kept, s.leapLeft(), uint64(s.stones.values.len), s.stones.next,
			s.feed.life, uint64(s.feed.deleted.values.len), s.feed.deleted.next, s.feed.forgotten)
	})
}

func (rt *runtime) head() journal.Change {
	return put(keyOf(keyRuntime, rt.place, subHead), func(b []byte) []byte {
		b = appendText(b, string(rt.id))
		b = appendNumbers(b, rt.version)
		b = appendText(b, string(rt.state))
		h := rt.held
		b = appendNumbers(b, uint64(h.InputStates), uint64(h.Runs), uint64(rt.dropped.values.len), uint64(h.Receipts),
			uint64(h.Snapshots+h.Versions))
		if rt.latest == nil {
			b = append(b, 0)
		} else {
			_, at, _ := rt.runs.find(rt.latest.RunID)
			b = appendNumbers(append(b, 1), at, rt.latest.Sequence)
		}
		if rt.few().origin == nil {
			b = append(b, 0)
		} else {
			b = appendNumbers(appendText(append(b, 1), string(rt.few().origin.RuntimeID)), rt.few().origin.Number)
		}
		b = appendNumbers(b, rt.inputs.next, rt.runs.next, rt.dropped.next, uint64(rt.made), uint64(rt.active))
		b = appendNumbers(rt.few().floor.append(b), uint64(len(rt.few().labels)))
		for _, key := range slices.Sorted(maps.Keys(rt.few().labels)) {
			b = appendText(appendText(b, key), rt.few().labels[key])
		}
		return appendNumbers(b, uint64(rt.few().used.values.len), rt.few().used.next)
	})
}

// leapLeft returns what the next revision comes after, 0 if that is the last one.
func (s *State) leapLeft() uint64 {
	if s.leap <= s.revision {
		return 0
	}
	return s.leap
}

func (q sequence) append(b []byte) []byte {
	if !q.there {
		return append(b, 0)
	}
	return appendNumbers(append(b, 1), q.number)
}

func keyRecord(rt *runtime, at uint64, u *usedKey) journal.Change {
	return put(keyOf(keyRuntime, rt.place, subKey, at), u.append)
}

func (u *usedKey) append(b []byte) []byte {
	return appendNumbers(append(appendText(b, u.key), u.input[:]...), uint64(u.at))
}

func stoneRecord(at uint64, t *tombstone) journal.Change {
	return put(keyOf(keyStone, at, subHead), func(b []byte) []byte {
		b = appendNumbers(appendText(b, string(t.id)), t.revision, uint64(t.at))
		b = appendNumbers(t.highest.append(b), uint64(len(t.keys)))
		for _, u := range t.keys {
			b = u.append(b)
		}
		return b
	})
}

func deletionRecord(at uint64, d *deletion) journal.Change {
	return put(keyOf(keyDeleted, at, subHead), func(b []byte) []byte {
		return appendNumbers(appendText(b, string(d.id)), d.point.revision, d.point.place)
	})
}

func runRecord(rt *runtime, sub byte, at uint64, left dropped) journal.Change {
	return put(keyOf(keyRuntime, rt.place, sub, at), func(b []byte) []byte {
		return appendNumbers(append(b, left.id[:]...), left.highest)
	})
}

func receiptRecord(rt *runtime, at uint64, r *Receipt) journal.Change {
	return put(keyOf(keyRuntime, rt.place, subReceipt, at, r.Sequence), func(b []byte) []byte {
		b = append(b, r.boundary)
		b = appendNumbers(b, r.messages)
		b = append(b, byte(r.digests))
		switch r.digests {
		case isDigest:
			b = append(b, r.digest[:]...)
		case isText:
			b = appendText(b, r.rest.digest)
		}
		ids := r.inputs()
		b = appendNumbers(b, uint64(len(ids)))
		for _, id := range ids {
			b = append(b, id[:]...)
		}
		return b
	})
}

func (s *State) filedRecord(at uint64, f *filed) journal.Change {
	return put(keyOf(keyFiled, at, subHead), func(b []byte) []byte {
		return s.appendSnapshot(s.appendFiled(b, f), f.snapshot)
	})
}

func (s *State) appendFiled(b []byte, f *filed) []byte {
	return appendNumbers(append(b, f.session[:]...), s.runtimes[f.by].place)
}

func appendNumbers(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(appendNumbers(b, uint64(len(text))), text...)
}
