package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/session"
)

// A Replay builds a State from the records of a journal, in ascending order of
// their keys. It takes memory for what it builds, for one snapshot, and for some records
// that are being decoded. Done or Close must be called in the end.
type Replay struct {
	state   *State
	last    []byte // key
	root    rootCounts
	parts   map[uint64]*session.Part // of texts, by name
	bytes   int64                    // that these have
	current pending                  // whose records come
	records int
	left    [][]byte // keys of left-overs

	leniency leniency
	damage   damage
	assumed  bool // the first record is lost

	decoding []*batch // in their order
	filling  *batch   // follows them
	err      error    // that has ended the building
}

type rootCounts struct {
	there, revision, next, runtimes, sessions, parts, names, leftOvers, kept, leap, stones uint64

	life, deleted, forgotten uint64 // of the feed of changes
}

// A pending runtime, or filed snapshot, is one of which not all records have come.
type pending struct {
	kind  byte
	place uint64

	rt     *runtime // of a runtime
	counts [6]uint64
	latest *part // that is to be its latest receipt

	filed filed    // of a filed snapshot
	by    *runtime // that has filed it

	damage string // what is wrong with one of its records

	// A snapshot of version 1.
	text     strings.Builder // so far
	length   uint64          // of all of it
	chunks   uint64
	there    bool
	document bool

	first bool // the runtime's head is of version 1
}

// NewReplay begins to build up a State, which must never have held anything.
func NewReplay(state *State) *Replay {
	return &Replay{state: state, parts: make(map[uint64]*session.Part)}
}

// maxPlace leaves room for more than can ever come.
const maxPlace = math.MaxInt64

// Records returns how many have been put.
func (r *Replay) Records() int { return r.records }

// apply puts a record in that has been decoded.
func (r *Replay) apply(c *record) error {
	if r.leniency == salvaging && r.root.there == 0 && len(c.Key) != len(rootKey) {
		r.assumeRoot()
	}
	err := r.applyStrictly(c)
	if err != nil {
		err = r.damaged(c.Key, err)
	}
	return err
}

func (r *Replay) applyStrictly(c *record) error {
	if c.Delete || r.last != nil && bytes.Compare(r.last, c.Key) >= 0 {
		return corrupt(c.Key, "not in ascending order of the keys")
	}
	r.last = append(r.last[:0], c.Key...)
	if c.err != nil {
		return c.err
	}
	b := &c.payloadReader
	reason := r.put(c.Key, b)
	if reason == "" && !b.done() {
		reason = "malformed"
	}
	if reason != "" {
		return corrupt(c.Key, reason)
	}
	return nil
}

// Done ends the building. The State is not to be used after an error.
func (r *Replay) Done() error {
	if err := r.drain(); err != nil {
		return err
	}
	s := r.state
	reason := r.endCurrent()
	switch {
	case reason != "":
	case r.leniency == salvaging, r.damage.first != nil:
		return r.doneLenient()
	case r.root.there == 0 && r.records > 0:
		reason = "the first record is missing"
	case r.root.runtimes != uint64(s.order.len):
		reason = fmt.Sprintf("%d of %d runtimes are there", s.order.len, r.root.runtimes)
	case r.root.sessions != uint64(s.sessions.values.len):
		reason = fmt.Sprintf("%d of %d filed snapshots are there", s.sessions.values.len, r.root.sessions)
	case r.root.stones != uint64(s.stones.values.len):
		reason = fmt.Sprintf("%d of %d tombstones are there", s.stones.values.len, r.root.stones)
	case r.root.deleted != uint64(s.feed.deleted.values.len):
		reason = fmt.Sprintf("%d of %d deletions are there", s.feed.deleted.values.len, r.root.deleted)
	}
	r.leaveParts()
	parts := uint64(len(r.parts))
	if reason == "" && (parts < r.root.parts || parts-r.root.parts > r.root.kept) {
		reason = fmt.Sprintf("%d of %d parts of texts are there", parts, r.root.parts)
	}
	if left, may := uint64(len(r.left)), r.root.leftOvers+r.root.kept-(parts-r.root.parts); reason == "" && left != may {
		reason = fmt.Sprintf("%d records belong to nothing, and not %d", left, may)
	}
	if reason != "" {
		return corrupt(r.last, reason)
	}
	s.texts.settle()
	s.revision, s.leap, s.next = r.root.revision, r.root.leap, r.root.next
	r.goOn()
	if len(r.left) > 0 {
		s.left = leftOvers{uint64(len(r.left)), []iter.Seq[[]byte]{slices.Values(r.left)}}
	}
	return nil
}

// mayLeave reports whether there are left-overs.
func (r *Replay) mayLeave() bool { return r.root.leftOvers > 0 }

// leave passes over a record of what is not held.
func (r *Replay) leave(key []byte, b *payloadReader) string {
	r.left = append(r.left, bytes.Clone(key))
	b.rest, b.bad = nil, false
	return ""
}

// leaveParts passes over the parts that no text has.
func (r *Replay) leaveParts() {
	held := r.state.texts.held
	var names []uint64
	for name, p := range r.parts {
		if held[p].writes == 0 {
			names = append(names, name)
			delete(r.parts, name)
			delete(held, p)
		}
	}
	r.left = slices.AppendSeq(r.left, keysOf(names, partKey))
}

func corrupt(key []byte, reason string) error {
	const most = 32
	return fmt.Errorf("%w: at key %x: %s", journal.ErrCorrupt, key[:min(len(key), most)], reason)
}

// open returns the payload of a value, and its version.
func open(c journal.Change) (version byte, payload []byte, err error) {
	n := len(c.Value) - 4
	switch {
	case n < 1:
		return 0, nil, corrupt(c.Key, "too short")
	case binary.LittleEndian.Uint32(c.Value[n:]) != check(c.Key, c.Value[:n]):
		return 0, nil, corrupt(c.Key, "the checksum is not the record's")
	case c.Value[0] > recordVersion:
		return 0, nil, fmt.Errorf("%w: a record of version %d, and %d is the highest that is known", journal.ErrNewerFormat, c.Value[0], recordVersion)
	case c.Value[0] < 1:
		return 0, nil, corrupt(c.Key, "unknown version")
	}
	return c.Value[0], c.Value[1:n], nil
}

// numbersIn says how many numbers follow in the key of a record, by its kind.
var numbersIn = [...]int{subHead: 0, subRun: 1, subDropped: 1, subReceipt: 2, subInput: 1, subSnapshot: 0, subChunk: 1, subSession: 0, subPast: 1, subKey: 1}

// put returns why a record cannot be, if it cannot.
func (r *Replay) put(key []byte, b *payloadReader) (reason string) {
	if len(key) == 1 && key[0] == keyRoot {
		r.root = rootCounts{there: 1, revision: b.number(), next: b.number(), runtimes: b.number(), sessions: b.number()}
		if b.version > 1 {
			r.state.sessions.next, r.root.parts, r.root.names = b.number(), b.number(), b.number()
		}
		if b.version > 2 {
			r.root.leftOvers, r.root.kept = b.number(), b.number()
		}
		if b.version > 3 {
			r.root.leap, r.root.stones, r.state.stones.next = b.number(), b.number(), b.number()
			r.root.life, r.root.deleted, r.state.feed.deleted.next, r.root.forgotten = b.number(), b.number(), b.number(), b.number()
		}
		if max(r.root.revision, r.root.leap) > MaxRevision || max(r.root.next, r.root.names, r.state.sessions.next, r.state.stones.next, r.state.feed.deleted.next) > maxPlace || r.root.forgotten > r.root.revision {
			return "a number beyond all that there are"
		}
		r.state.texts.names = r.root.names
		r.expect()
		return ""
	}
	k := payloadReader{rest: key}
	if len(key) == 1+8 && key[0] == keyRoot {
		k.byte()
		name := k.fixed()
		if r.mayLeave() && name > r.root.names {
			return r.leave(key, b)
		}
		return r.part(name, b)
	}
	kind, place, sub := k.byte(), k.fixed(), k.byte()
	var numbers []uint64
	for !k.bad && len(k.rest) > 0 {
		numbers = append(numbers, k.fixed())
	}
	if k.bad || int(sub) >= len(numbersIn) || numbersIn[sub] != len(numbers) || kind < keyRuntime || kind > keyDeleted {
		return "unknown key"
	}
	if sub == subHead {
		if reason := r.endCurrent(); reason != "" {
			return reason
		}
		r.current = pending{kind: kind, place: place}
		if next := map[byte]uint64{keyRuntime: r.root.next, keyFiled: r.state.sessions.next, keyStone: r.state.stones.next, keyDeleted: r.state.feed.deleted.next}; r.mayLeave() && place >= next[kind] {
			r.current = pending{}
			return r.leave(key, b)
		}
		return r.head(b)
	}
	o := &r.current
	switch {
	case o.kind == kind && o.place == place && o.damage != "":
		b.rest, b.bad = nil, false
		return ""
	case o.kind == kind && o.place == place:
	case r.mayLeave():
		return r.leave(key, b)
	default:
		return "its head is missing"
	}
	switch sub {
	case subSnapshot:
		if b.version > 1 {
			return "unknown key"
		}
		o.length, o.document, o.there = b.number(), b.flag(), true
		return ""
	case subChunk:
		return o.chunk(numbers[0], b)
	}
	if kind != keyRuntime {
		return "unknown key"
	}
	return r.list(sub, numbers, b)
}

// head begins a runtime or a filed snapshot.
func (r *Replay) head(b *payloadReader) string {
	s, o := r.state, &r.current
	switch o.kind {
	case keyStone:
		return r.stone(b)
	case keyDeleted:
		return r.deletion(b)
	}
	if o.place > maxPlace {
		return "a place beyond all that there are"
	}
	if o.kind == keyFiled {
		o.filed.session = store.SessionID(b.id())
		place := b.number()
		by, ok := s.order.get(place)
		if _, aside := r.damage.aside[place]; !ok && !b.bad && !aside && r.mayLeave() {
			key := keyOf(keyFiled, o.place, subHead)
			r.current = pending{}
			return r.leave(key, b)
		}
		if !ok && !b.bad && r.asideFiled(o.filed.session, place) {
			b.rest = nil
			return ""
		}
		if _, _, twice := s.sessions.find(o.filed.session); !ok || twice {
			return "filed twice, or by no runtime"
		}
		o.filed.by, o.by = by.id, by
		if b.version > 1 {
			var reason string
			o.filed.snapshot, reason = r.snapshot(b)
			return reason
		}
		return ""
	}
	rt := &runtime{id: store.RuntimeID(b.text()), place: o.place, version: b.number(), state: store.RuntimeState(b.text())}
	for i := range o.counts[:4] {
		o.counts[i] = b.number()
	}
	if b.version > 1 {
		o.counts[4] = b.number()
	}
	if b.flag() {
		o.latest = &part{at: b.number(), nth: b.number()}
	}
	if b.version > 1 {
		if b.flag() {
			rt.more().origin = &Origin{store.RuntimeID(b.text()), b.number()}
		}
		rt.inputs.next, rt.runs.next, rt.dropped.next = b.number(), b.number(), b.number()
		b.bad = b.bad || max(rt.inputs.next, rt.runs.next, rt.dropped.next) > maxPlace
	}
	var labels map[string]string
	if b.version > 3 {
		rt.made, rt.active = b.nanoseconds(), b.nanoseconds()
		if floor := b.sequence(); floor.there {
			rt.more().floor, rt.highest = floor, floor.number
		}
		labels = b.labels()
		o.counts[5] = b.number()
		if next := b.number(); next > 0 {
			b.bad = b.bad || next > maxPlace
			rt.more().used.next = next
		}
	}
	o.first = b.version == 1
	switch {
	case b.bad, rt.id.Validate() != nil, rt.state != "" && rt.state.Validate() != nil, rt.few().origin != nil && rt.few().origin.RuntimeID.Validate() != nil:
		return "malformed"
	case s.runtimes[rt.id] != nil:
		return "a runtime is there twice"
	case rt.version == 0 || rt.version > r.root.revision || rt.place >= r.root.next:
		return "later than the store itself"
	}
	rt.state = rt.state.Detach()
	o.rt = rt
	o.expect()
	countRuntime(&rt.held, rt.id)
	s.swap(rt, part{kind: theRuntime}, &value{there: true})
	if labels != nil {
		s.swap(rt, part{kind: theLabels}, &value{labels: labels})
	}
	return ""
}

// list takes what a runtime has many of.
func (r *Replay) list(sub byte, numbers []uint64, b *payloadReader) string {
	if sub == subSession {
		return r.version(true, 0, b)
	}
	s, rt, at := r.state, r.current.rt, numbers[0]
	if at > maxPlace {
		return "a place beyond all that there are"
	}
	switch sub {
	case subRun, subDropped:
		left := dropped{store.RunID(b.id()), b.number()}
		_, known := rt.highestOf(left.id)
		switch {
		case known:
			return "a run is there twice"
		case sub == subRun:
			one := &run{id: left.id, highest: left.highest}
			one.receipts.expect(expected(r.current.counts[3] / max(r.current.counts[1], 1)))
			s.swap(rt, part{kind: aRun, at: at}, &value{run: one})
		default:
			s.swap(rt, part{kind: aDropped, at: at}, &value{dropped: &left})
		}
		rt.highest = max(rt.highest, left.highest)
	case subPast:
		return r.version(false, at, b)
	case subKey:
		u := b.usedKey()
		if rt.knows(u.key) || b.version < 4 {
			return "a key is kept twice, or an input has it"
		}
		s.swap(rt, part{kind: aKey, at: at}, &value{key: u})
	case subReceipt:
		run, ok := rt.runs.values.get(at)
		if !ok || numbers[1] > run.highest {
			return "a receipt without its run"
		}
		receipt := b.read.receipt
		if receipt == nil {
			return "malformed"
		}
		receipt.RunID = run.id
		s.swap(rt, part{kind: aReceipt, at: at, nth: receipt.Sequence}, &value{receipt: receipt})
	default:
		in := b.read.input
		if !in.there() || in.version == 0 || in.version > max(r.root.revision, r.root.leap) {
			return "malformed"
		}
		if _, _, twice := rt.inputs.find(in.InputID); twice {
			return "an input is there twice"
		}
		s.swap(rt, part{kind: anInput, at: at}, &value{input: in})
	}
	return ""
}

// finish ends what is pending, whose records have all come.
func (r *Replay) finish() (reason string) {
	s, o := r.state, &r.current
	if o.damage != "" {
		return o.damage
	}
	snapshot, reason := o.chunked()
	if reason != "" || o.kind == 0 {
		return reason
	}
	if o.kind == keyFiled {
		f := o.filed
		if snapshot != nil {
			if own := s.Snapshot(f.by); own != nil && own.Equal(*snapshot) {
				snapshot = own // one text for both
			}
			f.snapshot, f.chunks = snapshot, 1+o.chunks
		}
		if f.snapshot == nil {
			return "a filed snapshot is missing"
		}
		s.swap(nil, part{kind: aFiled, at: o.place}, &value{filed: &f})
		return ""
	}
	rt := o.rt
	if snapshot != nil {
		if rt.session != nil {
			return "two snapshots"
		}
		s.swap(rt, part{kind: theSession}, &value{version: &version{number: 1, snapshot: snapshot, chunks: 1 + o.chunks}})
		if o.first {
			o.counts[4] = 1
		}
	}
	if l := o.latest; l != nil {
		if run, ok := rt.runs.values.get(l.at); ok {
			rt.latest = run.get(l.nth)
		}
		if rt.latest == nil {
			return "the latest receipt is missing"
		}
	}
	if rt.latest == nil && rt.runs.values.len > 0 {
		return "no latest receipt"
	}
	for run := range rt.runs.values.all() {
		if run.receipts.len == 0 {
			return "a run has no receipt"
		}
	}
	if h := rt.held; o.counts != [6]uint64{uint64(h.InputStates), uint64(h.Runs), uint64(rt.dropped.values.len), uint64(h.Receipts), uint64(h.Snapshots + h.Versions), uint64(h.Keys)} {
		return "its records are not as many as its head says"
	}
	return ""
}
