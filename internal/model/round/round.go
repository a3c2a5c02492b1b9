// Package round has the rounds in front of a journal as a model.
//
// A process is a caller, the owner, the goroutine of an append, a caller of Close, or
// another holder of the partition. The hand-off is coarser than in its own model. The
// journal is two runtimes, each a version that counts its writes. The model promises:
//
//   - A write that is acknowledged is stored: a later holder finds it, whenever the
//     process ends.
//   - A write that is refused or given up is not stored, now or later. The outcome is
//     called unknown only where the journal does not say.
//   - A load shows nothing that may be taken back, and misses nothing that was
//     acknowledged before it began. A conflict has its cause in what is stored.
//   - The owner applies nothing that was given up.
//   - What stood before Close's request is served, unless the service has failed.
//   - Nobody waits for ever.
//
// The owner's code is in owner.go, step by step as in durable.go of the root.
package round

import (
	"slices"

	"github.com/loopstore/loopstore/internal/model"
)

// A Protocol says how large a model is, and which of its rules are missing.
type Protocol struct {
	Callers int // at most 4
	Calls   int // of each caller; of all together at most 8
	Closes  bool
	Panics  bool // the owner may panic
	Without Rules

	AllNames bool // also states that differ by the names of callers only
}

// Rules are the rules that the code keeps. One that is set is left out.
type Rules struct {
	TakeCAS        bool // the owner takes a request by compare-and-swap
	OneRound       bool // no round begins while another is with the journal
	AppendFirst    bool // a round is answered after its append
	LoadsWait      bool // a load of what the round changes waits for its end
	Rollback       bool // what is rejected is taken back
	Alone          bool // the requests of a round that is rejected are tried again, each alone
	AgainFirst     bool // before other writes
	StopServing    bool // the service ends when the journal does not say, or is fenced
	Unknown        bool // a write whose append may be stored has no definite answer
	KnownUnchanged bool // but one that changed nothing has
	KnownFenced    bool // and so have all when the journal was fenced
	FenceWaits     bool // while a round is with the journal, only its append says that it is fenced
	LeaveWaits     bool // an owner that panics waits for its append
	LeaveStored    bool // and acknowledges it, if it was stored
	LeaveDenies    bool // or else answers as at any end of the service
	LeaveStands    bool // it answers what stands as it would have
	LeaveRound     bool // it answers the others of the round that it panicked in
	CurrentOnce    bool // but not the one that it panicked in, which has an answer of its own
	LeaveAgain     bool // and those that wait for another try
	LeaveQueues    bool // and those that wait for a round, or for its end
	AnswerPanicked bool // and the one in which it panicked
	CloseServes    bool // after Close's request it serves what waits
	FenceFirst     bool // an engine fences the earlier holder before it reads what stands
}

const (
	maxCallers  = 4
	maxRequests = 8
	runtimes    = 2
)

// A state is all that is shared, where each process stands, and what the promises need
// to know of the past.
type state struct {
	inbox    queue
	closed   bool // nobody calls any more: the phase is not serving
	done     bool
	owner    owner
	append   uint8  // where its goroutine stands
	outcome  uint8  // of the append
	batch    uint16 // its requests, a bit each
	other    uint8  // where the other holder stands
	noticed  bool   // the journal has closed Fenced
	closer   uint8
	callers  [maxCallers]caller
	requests [maxRequests + 1]request

	journal versions // that are stored
	acked   versions // the latest that were acknowledged
	taken   versions // that the other holder has read
}

type versions [runtimes]uint8

// A durable of the root, its stack too.
type owner struct {
	at, next uint8 // the next entry of the round
	current  uint8 // request
	failed   bool  // it has panicked, or the journal takes nothing more
	closing  bool
	held     versions
	before   versions // the round
	round    queue
	loads    queue
	writes   queue
	again    queue
}

// A request is one of a caller's, numbered from 1: a caller's calls have numbers of
// their own.
type request struct {
	kind, runtime uint8
	claim, answer uint8
	floor         uint8 // the version that was acknowledged when it began
	version       uint8 // that it has found or made
	changed       bool
	stored        bool
	retried       bool  // it was rejected, with others
	steps         uint8 // that it has been taken on: see Rank
}

type caller struct{ at, calls uint8 }

const ( // kinds
	put    = iota + 1
	create // if there is no version yet
	load
)

const ( // claims
	queued = iota
	claimed
	abandoned
)

const ( // answers
	none = iota
	ok
	conflict
	refused // nothing was applied, and nothing is stored
	unknown // it may be stored
)

const stop = 255 // in the inbox: Close's request

const ( // where callers and Close stand
	idle = iota
	waiting
	returned // from Close
)

const ( // where the goroutine of an append stands
	off = iota
	appending
	telling
	told
)

const ( // outcomes of an append
	isStored = iota + 1
	isRejected
	isAmbiguous
	isFenced
)

const ( // where the other holder stands
	away    = iota
	between // its two steps
	holding
)

// Where the owner stands. It comes to places in this order, but for what takes a
// request on.
const (
	serving = iota
	loading
	gathering
	servingLoads
	choosing
	applying
	answering
	denying
	receiving
	settling // the append that was under way when it left
	leaving
	draining
	ending
	gone
)

// A queue is of requests, in order.
type queue struct {
	of  [maxRequests + 1]uint8
	len uint8
}

func (q *queue) put(r uint8) {
	q.of[q.len] = r
	q.len++
}

func (q *queue) next() uint8 {
	r := q.of[0]
	copy(q.of[:], q.of[1:])
	q.of[maxRequests] = 0
	q.len--
	return r
}

func (q *queue) drop(r uint8) {
	if i := slices.Index(q.all(), r); i >= 0 {
		copy(q.of[i:], q.of[i+1:])
		q.len--
	}
}

func (q *queue) all() []uint8 { return q.of[:q.len] }

// Explore visits the states of a protocol, at most so many.
func Explore(p Protocol, most int) model.Report {
	return model.Explore(&machine{Protocol: p}, most)
}
