// Package handoff has the hand-off between callers and owner as a model.
//
// A process is a caller, the owner or a caller of Close. The model promises:
//
//   - A call is answered once or given up once, never both.
//   - A call that returns nil was applied once, and any other never.
//   - The owner applies nothing that was given up.
//   - A request goes back to the pool when nobody else can reach it.
//   - Close returns when each call that was accepted is answered. What stood in the
//     inbox before its request to stop was served, unless the owner panicked.
//   - Nobody waits for ever, as long as the owner goes on: it needs no other caller,
//     no ctx that ends, and no Close. Only a second Close needs the first to go on.
//
// A caller's code is in caller.go, the owner's in owner.go, step by step as in
// request.go and loop.go of the root. That the code does these steps and no others is
// checked too: Logs are what a run of it has done.
package handoff

import (
	"slices"

	"github.com/loopstore/loopstore/internal/model"
)

// A Protocol says how large a model is, and which of its checks are missing.
type Protocol struct {
	Callers int // at most 4
	Calls   int // of each caller
	Retries int // of each call: how often the owner may ask for it again
	Inbox   int // its size, at most 4
	Closers int // goroutines that may call Close, at most 3
	Without Rules

	AllOrders bool // also orders of steps that lead nowhere else: see private
	AllNames  bool // also states that differ by the names of callers and closers only
}

// Rules are the checks of the protocol. One that is set is left out.
type Rules struct {
	PhaseFirst         bool // a call looks at the phase before it begins
	PhaseAfterSend     bool // a sender looks at the phase again, and abandons its request
	DoneWhileFull      bool // who waits for a place in the inbox waits for done too
	RefusedWhenLeft    bool // that call is refused only if nobody has taken the request
	CallerCAS          bool // a caller abandons its request by compare-and-swap
	AnswerWhenClaimed  bool // a caller that cannot abandon its request waits for the answer
	QueuedAgain        bool // a retry makes the request queued
	QueuedInPool       bool // a recycled request is queued
	AbandonedIsDropped bool // an abandoned request is not recycled
	VanishedIsDropped  bool // nor is one whose caller vanished
	OwnerCAS           bool // the owner takes a request by compare-and-swap
	RefuseCAS          bool // also when it refuses it
	AnswerRoom         bool // an answer's channel has room for it
	AnswerPanicked     bool // the owner answers the call that panicked
	Drain              bool // the owner empties the inbox at its end
	EndedBeforeDrain   bool // it stores ended before it does
	DoneAfterDrain     bool // it closes done after it has
	InboxStaysOpen     bool // it never closes the inbox
	ClosingCAS         bool // Close stores closing only when the phase was serving
	OneStop            bool // only the first Close sends a request to stop
	StopInTurn         bool // the request to stop stands behind what was sent before
	StopOrDone         bool // Close waits for a place in the inbox, or for done
	CloseWaits         bool // Close waits for done
}

const (
	maxCallers  = 4
	maxClosers  = 3
	maxInbox    = 4
	maxRequests = maxCallers + maxInbox + 1 // each is held by a caller, the inbox or the owner
)

// A state is all that is shared, where each process stands, and what the checks
// need to know of the past. Requests are numbered from 1.
type state struct {
	phase    uint8
	done     bool
	failed   bool // the owner has panicked
	length   uint8
	inbox    [maxInbox]uint8
	owner    owner
	callers  [maxCallers]caller
	closers  [maxClosers]uint8
	requests [maxRequests + 1]request
}

const stop = 255 // in the inbox: Close's request

// A request is one of package loopstore, and what the checks know of it.
type request struct {
	claim, answer uint8
	fate          uint8
	applied       bool
	inTime        bool // it stood in the inbox before the request to stop
}

type caller struct {
	at, request uint8
	calls, left uint8 // calls begun; retries left of this one
	got         uint8 // the answer, when it returns
}

type owner struct{ at, request, result uint8 }

const ( // phases
	serving = iota
	closing
	ended
)

const ( // claims
	queued = iota
	claimed
	abandoned
)

const ( // answers, and what a call gets
	none = iota
	ok
	again  // nothing was applied: prepare it again. Any other error of an operation is returned
	failed // it panicked
	refused
	cancelled
)

const ( // fates of requests
	unused = iota
	held
	givenUp
	vanished
	pooled
)

// Where callers stand. The order is the one in which they come to it, and so are
// those below: see Rank.
const (
	idle = iota
	checking
	sending
	full       // waits for a place in the inbox
	sent       // looks at the phase again
	refusing   // abandons its request, since the owner has ended
	waiting    // for the answer, or for ctx
	abandoning // since ctx has ended
	owed       // waits for the answer: the owner has the request
	returning
)

const ( // where closers stand
	open = iota
	stopping
	awaiting
	returned
)

const ( // where the owner stands
	taking = iota
	applying
	replying
	receiving
	ending
	refuseTaking
	refuseReplying
	draining
	leaving
	gone
)

// Explore visits the states of a protocol, at most so many.
func Explore(p Protocol, most int) model.Report {
	return model.Explore(&machine{Protocol: p}, most)
}

// Start returns the state in which nobody has called.
func (*machine) Start() state { return state{owner: owner{at: receiving}} }

// Rank counts a message less while it is in the inbox, so the owner, which goes
// round, gains when it receives one.
func (m *machine) Rank(s *state) int {
	sum := 0
	for i := range m.Callers {
		c := &s.callers[i]
		sum += int(c.at) + 16*int(c.calls)*(m.Retries+2)
		if c.at != idle {
			sum -= 16 * (int(c.left) + 1) // tries, this one too
		}
	}
	for i := range m.Closers {
		sum += int(s.closers[i])
	}
	return 32*sum - 16*int(s.length) + int(s.owner.at)
}

// put puts a message into the inbox, which has room for it.
func (s *state) put(r uint8) {
	s.inbox[s.length] = r
	s.length++
}

// next takes the first message out of the inbox.
func (s *state) next() uint8 {
	r := s.inbox[0]
	copy(s.inbox[:], s.inbox[1:])
	s.inbox[maxInbox-1] = 0
	s.length--
	return r
}

// reached reports whether the inbox or the owner has a request.
func (s *state) reached(r uint8) bool {
	return s.owner.request == r || slices.Contains(s.inbox[:s.length], r)
}

// holds reports whether a caller has a request.
func (s *state) holds(r uint8) bool {
	return slices.ContainsFunc(s.callers[:], func(c caller) bool { return c.request == r })
}
