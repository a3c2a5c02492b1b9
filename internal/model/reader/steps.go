package reader

import (
	"iter"
	"math/bits"

	"github.com/loopstore/loopstore/internal/model"
)

const (
	theOwner model.Process = iota
	theWaker
	theJournal
	theCloser
	lookOf
)

// A machine is a Protocol, with the steps of the state that is explored.
type machine struct {
	Protocol
	*model.Moves[state]
}

// List lists the steps of all processes.
func (m *machine) List(s *state, moves *model.Moves[state]) {
	m.Moves = moves
	m.Of(theOwner)
	m.owner(s)
	m.Of(theWaker)
	m.waker(s)
	m.Of(theJournal)
	m.journal(s)
	if !m.Calm {
		m.Of(theCloser)
		m.closes(s)
	}
	for i := range m.Readers {
		m.Of(lookOf + model.Process(i))
		m.reader(s, i)
	}
	for i := maxReaders; i < maxReaders+m.Watchers; i++ {
		m.Of(lookOf + model.Process(i))
		m.watcher(s, i)
	}
}

// Step adds a step, and Choice one that nobody may count on.
func (m *machine) Step(next state, what string)   { m.tidy(&next); m.Moves.Step(next, what) }
func (m *machine) Choice(next state, what string) { m.tidy(&next); m.Moves.Choice(next, what) }

// tidy lets the owner go on where it has nothing left to do, and forgets what makes no
// difference any more:
//
//   - what a view shows that only a Reader has, once it is over: it is never served.
//   - that a moment is to be ended which no view has outside: nobody sees that.
//   - which view the owner keeps, if nobody else has it and it is current: it is as
//     good as a new one.
//   - a channel that is to be closed, if nobody waits for it or can.
func (m *machine) tidy(n *state) {
	if !m.AllSteps {
		m.forget(n)
	}
	m.goOn(n)
}

func (m *machine) forget(n *state) {
	var out, channels set
	if !m.Without.AsksCurrent && !m.Without.OwnersView {
		for x := range n.last {
			if !n.current(n.last[x].moment) {
				n.last[x] = view{moment: gone}
			}
		}
		for i := range n.looks {
			if l := &n.looks[i]; !n.current(l.view.moment) && (l.at == looking || l.at == storing) {
				l.view.moment = gone
			}
		}
	}
	for x := range n.last {
		out.add(n.last[x].moment)
	}
	for i := range n.looks {
		out.add(n.looks[i].view.moment)
		channels.add(n.looks[i].channel)
	}
	for at := range out.all() {
		channels.add(n.moments[at].end)
	}
	for x := range n.runtimes {
		for _, at := range []*uint8{&n.runtimes[x].view, &n.round.old[x].view, &n.absences[x]} {
			if n.current(*at) && !out.has(*at) {
				*at = 0
			}
		}
	}
	n.owner.flags &= out
	n.owner.ends &= out
	n.round.absent &= out
	n.owner.found &= channels
	n.wakes &= channels
}

// goOn is what comes when the moments are ended, and those who wait are woken.
func (m *machine) goOn(n *state) {
	o := &n.owner
	if o.at == settling && o.flags|o.ends == 0 {
		o.at = waking
	}
	if o.at != waking || o.found != 0 {
		return
	}
	for x := range n.runtimes {
		if does := n.runtimes[x].rest; does != none {
			n.runtimes[x].rest = none
			n.finishing(m.change(n, uint8(x), does), o.then)
			m.tidy(n)
			return
		}
	}
	o.at, o.then = o.then, 0
}

// Standing returns the promise that a state breaks, whose steps are listed.
func (m *machine) Standing(s *state, moves *model.Moves[state]) string {
	lastRound := s.owner.at == denying && s.round.at == appended // it may wait for that
	if at := s.owner.at; at != receiving && at != left && !lastRound && !moves.Going(theOwner) {
		return "the owner is held up"
	}
	for i := range s.looks {
		l, self := &s.looks[i], lookOf+model.Process(i)
		switch {
		case l.at == idle || l.at == refused:
		case l.at == waiting:
			missed := !s.current(l.view.moment) || s.done || l.view.shows != s.runtimes[l.of].upTo(s.writes)
			if missed && !moves.Going(self, theOwner, theWaker, theJournal) {
				return "a watcher waits for ever, though its view is over"
			}
		case !moves.Going(self, theOwner) && !(moves.Going(theJournal) && (lastRound || s.round.old[l.of].changed)):
			return "a read waits for ever"
		}
	}
	if s.closer == closing && !moves.Going(theCloser, theOwner, theWaker, theJournal) {
		return "Close waits for ever"
	}
	return ""
}

// Rank is higher the nearer the owner is to the end of its round, the less it has left
// to end and to wake there, and the more those who look have come to know.
func (m *machine) Rank(s *state) int {
	o, left := &s.owner, 0
	at := int(o.at)
	switch {
	case o.at == settling || o.at == waking:
		at, left = int(o.then), 64-32*int(o.at-settling)
	case o.at == receiving && s.round.at != noRound:
		at = appending
	}
	if s.runtimes[0].rest+s.runtimes[1].rest != none {
		left += 40
	}
	left += o.flags.len() + 2*o.ends.len() + o.found.len() + s.wakes.len()
	sum := 2048*int(s.writes) + 128*at - left + int(s.round.at) + int(s.closer)
	if s.broken {
		sum++
	}
	for i, l := range s.looks {
		turn := l.floor
		if i < maxReaders {
			turn = l.reads
		}
		sum += 16*int(turn) + int(l.at)
		if l.at == refused {
			sum += 16 * 256
		}
	}
	return sum
}

// A set has small numbers, from 1.
type set uint16

func (s *set) add(n uint8) {
	if n != 0 && n != gone {
		*s |= 1 << n
	}
}

func (s *set) remove(n uint8)  { *s &^= 1 << n }
func (s set) has(n uint8) bool { return s>>n&1 == 1 }
func (s set) len() int         { return bits.OnesCount16(uint16(s)) }
func (s set) all() iter.Seq[uint8] {
	return func(yield func(uint8) bool) {
		for s != 0 && yield(uint8(bits.TrailingZeros16(uint16(s)))) {
			s &= s - 1
		}
	}
}

// free is the least number that is not in it.
func (s set) free() uint8 { return uint8(bits.TrailingZeros16(^uint16(s))) }

// upTo returns the last write up to this one that has changed a runtime.
func (rt *runtime) upTo(write uint8) uint8 {
	return uint8(bits.Len8(rt.changes&(2<<min(write, 7)-1)) - 1)
}
