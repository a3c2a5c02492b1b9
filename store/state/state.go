package state

import (
	"strings"

	"github.com/loopstore/loopstore/store"
)

// A State holds the data of all runtimes. It is for one goroutine. The zero
// value is empty and ready to use.
//
// It takes and gives pointers, not copies: what is put in must not be changed
// afterwards, nor what comes out. A replacement replaces the pointer, so what
// came out before stays as it was.
//
// An operation is any number of changes, made in a [State.Do], and then a
// [State.Settle], which makes them one revision.
type State struct {
	// StrictReceipts makes CheckReceipt refuse to replace a receipt by another.
	StrictReceipts bool
	// StrictSessionKeys makes AtomicApply refuse a session store key that is not
	// the document's id.
	StrictSessionKeys bool
	// Limits bound what is held. Do refuses what goes beyond them.
	Limits store.Limits
	// Retention is what Do keeps of the runtimes that an operation changes.
	Retention store.Retention
	// UniqueKeys makes Do refuse an idempotency key that another input of the runtime has,
	// or that the Retention keeps of one.
	UniqueKeys bool
	// Tombstones are kept of the runtimes that are deleted. The zero value keeps none.
	Tombstones store.Keep
	// Activity says that Now is to be set, so that it is known when a runtime was made, and
	// when it was written to last.
	Activity bool
	// Queue says which inputs wait to be claimed.
	Queue Queue
	// Deletions is how many of those that were last the feed of changes remembers, see
	// Changes. 0 means 1,024, and a negative number none.
	Deletions int
	// Now is the time of the operation, the zero value if it is not known.
	Now store.Time
	// BatchBytes is how much the journal of a group takes at once, 0 if any amount.
	BatchBytes int64
	// Snapshots, if set, shows other goroutines the sessions' snapshots.
	Snapshots *Snapshots

	runtimes map[store.RuntimeID]*runtime
	order    list[*runtime] // by place
	next     uint64         // place of a new one
	sessions series[store.SessionID, *filed]
	stones   series[store.RuntimeID, *tombstone]
	texts    texts
	feed     feed
	lines    allLines
	held     store.Totals // but for the texts
	revision uint64
	leap     uint64 // the next revision comes after it, too
	images   int    // Images made so far

	changed  []touched   // since the last Settle
	log      []change    // what takeBack can take back
	trying   bool        // within Try
	group    *group      // nil outside one
	left     leftOvers   // in the journal
	aside    asides      // likewise
	staged   uint64      // how many of its records are left-overs in the journal of another State
	absences [64]*moment // of views of what is not there, by a hash of the id
	over     []*moment   // to end with the next Settle
}

// A runtime is what is held of one runtime. It does not change any more once
// an Image shows it: own puts a clone in its place.
type runtime struct {
	id       store.RuntimeID
	place    uint64
	version  uint64             // 0 until the operation that made it is settled
	state    store.RuntimeState // empty if there is none
	session  *version           // the last one, nil if there is none
	past     list[*version]     // of the session, by number
	made     int64              // in Unix nanoseconds, 0 if nobody knows
	active   int64              // likewise, the last time that it was written to
	inputs   series[store.InputID, input]
	counts   counts            // of the inputs
	keys     map[string]uint64 // by idempotency key the place of the input that has it, of the first if there are several
	runs     series[store.RunID, *run]
	dropped  series[store.RunID, dropped]
	highest  uint64                   // sequence of any run, and no less than the floor
	latest   *Receipt                 // stored last
	sessions map[store.SessionID]bool // whose latest snapshot is one of this runtime's
	tally    tally
	held     store.Totals // but for the texts
	rare     *rare        // nil if there is nothing of it
	swept    swept        // how far the State's Retention has looked
	turn     *turn        // nil if none of its inputs has waited to be claimed
	view     *View        // nil if there is none of this version
	clones   int          // how often its lists were shared with a View or a clone
	images   int          // the State's, when this was made
	changed  bool         // it is in State.changed
	written  bool         // by the operation, and so it is active
	what     What         // the operation has changed
	deleted  bool
}

// A part is one thing that a State holds. All but a filed snapshot, a tombstone and what
// is known of deletions are a runtime's.
type part struct {
	kind kind
	at   uint64 // the place of an input, a run, a dropped run, a key, a filed snapshot, a tombstone or a deletion; a version's number
	nth  uint64 // the sequence of a receipt of the run at that place
}

type kind uint8

const (
	theRuntime kind = iota // with all that it holds
	theVersion
	theState
	theLatest  // receipt
	theHighest // sequence of a run
	theHighestOfAll
	theFloor
	theOrigin
	theForgotten // deletions
	aDeletion
	theLabels // from here on what Totals count
	theSession
	aPast // version of the session
	anInput
	aRun
	aDropped // run
	aReceipt
	aKey   // that is kept
	aFiled // snapshot
	aTombstone
	numKinds
)

// A value is what stands in a part: the field of its kind, or nothing.
type value struct {
	there    bool   // of theRuntime and theFloor
	number   uint64 // of theVersion, theHighest, theHighestOfAll, theFloor and theForgotten
	view     *View  // of theVersion
	active   int64  // of theVersion
	state    store.RuntimeState
	origin   *Origin
	labels   map[string]string
	version  *version
	receipt  *Receipt
	input    input
	run      *run
	dropped  *dropped
	key      *usedKey
	filed    *filed
	stone    *tombstone
	deletion *deletion
}

// A change is a part with what stood there before.
type change struct {
	rt   *runtime // nil if the part is of none
	part part
	old  value
}

// set changes a part, and keeps what stood there in the log, if a Try or a group may
// take it back. Every change of what a State holds is one call of set.
func (s *State) set(rt *runtime, p part, v value) {
	s.swap(rt, p, &v)
	if rt != nil {
		rt.what |= whatOf[p.kind]
	}
	if s.trying || s.group != nil {
		s.log = append(s.log, change{rt, p, v})
	}
}

// takeBack takes back all changes but the first n of the log.
func (s *State) takeBack(n int) {
	for i := len(s.log) - 1; i >= n; i-- {
		c := &s.log[i]
		s.swap(c.rt, c.part, &c.old)
		s.giveBack(c.rt, c.part)
		if c.rt != nil {
			c.rt.swept.goBack(c.part)
		}
		if c.part.kind == theRuntime && c.old.there { // it was there until now: the change had made it
			s.next = c.rt.place
		}
	}
	s.forgetLog(n)
}

// swap puts a value in a part, keeps count, and leaves in v what stood there.
func (s *State) swap(rt *runtime, p part, v *value) {
	n, bytes := v.size(p.kind)
	switch p.kind {
	case theRuntime:
		v.there = s.swapRuntime(rt, v.there)
	case theVersion:
		rt.version, v.number = v.number, rt.version
		rt.view, v.view = v.view, rt.view
		rt.active, v.active = v.active, rt.active
	case theState:
		rt.state, v.state = v.state, rt.state
	case theLatest:
		rt.latest, v.receipt = v.receipt, rt.latest
	case theHighest:
		r, _ := rt.runs.values.get(p.at)
		r.highest, v.number = v.number, r.highest
	case theHighestOfAll:
		rt.highest, v.number = v.number, rt.highest
	case theFloor:
		rt.more().floor.swap(v)
	case theLabels:
		r := rt.more()
		r.labels, v.labels = v.labels, r.labels
	case theOrigin:
		r := rt.more()
		r.origin, v.origin = v.origin, r.origin
	case theSession:
		v.version = s.swapSession(rt, v.version)
	case aPast:
		v.version = s.swapPast(rt, p.at, v.version)
	case anInput:
		v.input = s.swapInput(rt, p.at, v.input)
	case aRun:
		s.countReceipts(rt, v.run, 1)
		v.run = swap(&rt.runs, p.at, v.run, (*run).runID)
		s.countReceipts(rt, v.run, -1)
	case aDropped:
		v.dropped = rt.swapDropped(p.at, v.dropped)
	case aReceipt:
		r, _ := rt.runs.values.get(p.at)
		v.receipt = r.swap(p.nth, v.receipt)
	case aKey:
		v.key = s.swapKey(rt, p.at, v.key)
	case aFiled:
		v.filed = s.swapFiled(p.at, v.filed)
	case theForgotten:
		s.feed.forgotten, v.number = v.number, s.feed.forgotten
	case aDeletion:
		v.deletion = s.swapDeletion(p.at, v.deletion)
	case aTombstone:
		v.stone = swap(&s.stones, p.at, v.stone, (*tombstone).runtimeID)
	}
	if p.kind >= theLabels {
		m, before := v.size(p.kind)
		add(&s.held, p.kind, n-m, bytes-before)
		if rt != nil {
			add(&rt.held, p.kind, n-m, bytes-before)
		}
	}
}

// open returns a runtime to change, a new one if it is unknown.
func (s *State) open(id store.RuntimeID) *runtime {
	rt := s.runtimes[id]
	if rt == nil {
		rt = &runtime{id: store.RuntimeID(strings.Clone(string(id))), place: s.next, made: nanoseconds(s.Now), images: s.images} // the id may be part of a large text
		countRuntime(&rt.held, rt.id)
		s.next++
		s.unearth(id)
		s.isMade(id)
		s.set(rt, part{kind: theRuntime}, value{there: true})
	}
	rt = s.touch(rt)
	rt.written = true
	return rt
}

// PutInputState adds an input's state at the end, or replaces it in place.
func (s *State) PutInputState(id store.RuntimeID, state *store.InputState) {
	rt := s.open(id)
	at, _ := rt.inputs.place(state.InputID)
	s.putInput(rt, at, input{state, s.Pending()})
}

// PutRuntimeState replaces the runtime's state.
func (s *State) PutRuntimeState(id store.RuntimeID, state store.RuntimeState) {
	s.set(s.open(id), part{kind: theState}, value{state: state})
}
