// Package reader has what readers see of writes as a model: views and their ends, as in
// moment.go, change.go and view.go of store/state, and in view.go, loop.go and durable.go
// of the root.
//
// A process is the owner, a goroutine that reads, one that watches, the goroutine that
// wakes them, the journal, or a caller of Close. There are two runtimes, A and B. All
// who read share one Reader of each. The model promises:
//
//   - A read shows all that was known before it began: of writes that had returned, and
//     of what reads that had returned had seen. So nobody sees half of a batch, and
//     nobody goes back.
//   - Whoever is woken by the end of a view sees the write that ended it, in all
//     runtimes that it changed, whichever he reads.
//   - A view shows what a batch has left as a whole, and nothing that may be taken back.
//   - A view is current when the owner gives it. Its channel is closed when it is over,
//     once, and not before.
//   - Nothing is served once Close has returned, a call was told of a panic, or the end
//     of a view has said so.
//   - No read, no watcher and no Close waits for ever, and nothing holds up the owner. A
//     read waits for the journal only if the round changes what it reads.
//
// A write shows most if its call begins when the owner takes it, and returns when the
// owner answers it. So there are no steps of writers. What a call does on its way to the
// owner and back is in package handoff.
package reader

import "github.com/loopstore/loopstore/internal/model"

// A Protocol says how large a model is, and which of its rules are missing.
type Protocol struct {
	Writes   int  // at most 7, those that a journal rejects too
	Readers  int  // goroutines that read, at most 3
	Reads    int  // of each
	Watchers int  // at most 2
	Shared   bool // views of what is not there share a moment, whichever runtime it is
	Group    int  // writes in a round in front of a journal, 0 without one
	Calm     bool // no call panics, the journal stores or rejects, and nobody calls Close
	Without  Rules

	AllViews bool // also states that differ by what makes no difference: see forget
}

// Rules are the checks of the code, and the orders that it keeps. One that is set is
// left out.
type Rules struct {
	ViewKept           bool // the owner keeps the view that it gives
	AbsenceKept        bool // and the moment of what is not there
	ViewDropped        bool // a change drops the view
	AbsenceDropped     bool // a new runtime drops the moment of what was not there
	ChangeEnds         bool // a change ends the view
	DeletionEnds       bool // so does a deletion
	AbsenceEnds        bool // a new runtime ends the moment of what was not there
	OneSettle          bool // a batch is settled as a whole
	ViewsAfterSettle   bool // no view is given before all that stood are over
	OverBeforeAnswer   bool // a write is answered when the views of what it changed are over
	AllOverFirst       bool // the flags of all moments are set before the first end
	OverBeforeEnd      bool // the flag of a moment is set before its end
	EndSwapped         bool // the end is swapped, not loaded
	EndedOnce          bool // a moment may have ended before
	Wakes              bool // who waits for the end of a view is woken
	WakeAside          bool // a goroutine of its own wakes those who wait
	EndLoadedFirst     bool // who waits for an end makes a channel only if there is none
	EndCAS             bool // and puts it in its place by compare-and-swap
	EndReadAgain       bool // and takes what stands there then
	DoneWhileWatching  bool // a watcher waits for done too
	AsksCurrent        bool // a Reader serves its last view only if that is current
	OwnersView         bool // and otherwise returns the owner's, whatever is the last by then
	KeepsLast          bool // a Reader that is refused keeps its last view
	FailsClosed        bool // a panic ends the service
	EndAtLast          bool // all views end with the service
	EndBeforeDone      bool // before done is closed
	EndBeforeFailure   bool // before a call is told of the failure
	EndCoversUnsettled bool // those of changes that are not settled too
	EndCoversAbsences  bool // those of what is not there too
	EndCoversAdopted   bool // those that an import has dropped too, and did not end yet
	EndCoversGroup     bool // those that the round has dropped too
	CloseWaitsForWakes bool // Close waits for the goroutines that wake
	EndsAtCommit       bool // the views of what a round changes end when it is stored
	LoadsWait          bool // a load of what a round changes waits for the round
	OthersMeanwhile    bool // and any other does not
	AppendAside        bool // a goroutine of its own appends
	ViewComesBack      bool // a round that is rejected leaves the views that stood
	RejectedEndAbsence bool // and ends the moments of what was not there that it dropped
}

const (
	maxReaders  = 3
	maxWatchers = 2
	maxMoments  = 15 // gone is the last
)

// A state is all that is shared, what the owner holds, where each process stands, and
// what the checks need to know of the past. Writes are numbered from 1.
type state struct {
	owner    owner
	runtimes [2]runtime // A and B
	absences [2]uint8   // moments of what is not there
	round    round
	moments  [maxMoments + 1]moment
	wakes    set                            // channels that the goroutine that wakes will close
	last     [2]view                        // of the Readers
	looks    [maxReaders + maxWatchers]look // those who read, then those who watch
	closer   uint8
	done     bool

	writes uint8 // so far
	known  uint8 // the last write that has returned, or was seen
	woken  uint8 // the last that has woken somebody; 0 if known says as much
	broken bool  // a panic has left what the owner holds half changed
}

type owner struct {
	at, then uint8 // then comes after the moments are ended
	flags    set   // moments whose flag is to be set
	ends     set   // moments whose end is to be swapped
	found    set   // channels to close
}

type runtime struct {
	there   bool
	view    uint8 // its moment, 0 if none
	rest    uint8 // what the write has still to do here, if it is settled piece by piece
	changes uint8 // a bit for each write that has changed it; write 0 has left nothing
}

// A round is a group of the state, in front of a journal.
type round struct {
	at     uint8
	before uint8   // writes, before it
	old    [2]past // what stood
	absent set     // moments of what was not there
}

// A past is what a runtime was before a round changed it.
type past struct {
	changed, there bool
	view           uint8
}

type moment struct {
	over uint8 // 0 while it is current, or the write that ended it
	end  uint8 // a channel, 0 if none
}

type view struct {
	moment uint8 // 0 if there is no view
	shows  uint8 // the last write that has changed it
}

// A look is a goroutine that reads or watches.
type look struct {
	at, of  uint8
	reads   uint8 // so far; only of readers
	floor   uint8 // the last write that was known when it began
	told    bool  // because somebody was woken
	view    view
	channel uint8 // for which it waits
}

const (
	gone   = maxMoments // the moment of views that are over and will not be shown: they are all alike
	closed = 255        // a channel; nobody minds which
	shut   = 255        // instead of a write: the end of the service
)

// Where the owner stands. The order is the one in which it comes to it, and so are
// those below: see Rank.
const (
	gathering = iota // takes another write of the round, or hands it to the journal
	settling         // sets the flags of moments, then swaps their ends
	waking           // closes the channels that it found, or starts a goroutine that does
	appending        // waits for the journal, if the rule is missing
	early            // answers before it settles, if that rule is missing
	replying
	receiving
	denying // tells those of a call that panicked, and of a round that is lost
	leaving // refuses the rest, and closes done
	left
)

const ( // where a round stands
	noRound = iota
	applied
	appended // it is with the journal
	stored
	rejected
	unknown
)

const ( // where a look stands
	idle    = iota
	looking // at the flag of the last view
	asking  // the owner
	storing // the owner's view as the last
	reading // that again, if the rule is missing
	loading // the end of its view
	making  // a channel
	again   // loads the end again
	waiting
	refused
)

const ( // where the caller of Close stands
	open = iota
	closing
	returned
)

const ( // what a write does to a runtime
	none = iota
	puts
	deletes
)

// Explore visits the states of a protocol, at most so many.
func Explore(p Protocol, most int) model.Report {
	return model.Explore(&machine{Protocol: p}, most)
}

// Start returns the state in which nothing is there.
func (*machine) Start() state {
	s := state{owner: owner{at: receiving}, runtimes: [2]runtime{{changes: 1}, {changes: 1}}}
	s.moments[gone] = moment{shut, closed}
	return s
}
