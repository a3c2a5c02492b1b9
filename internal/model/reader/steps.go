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
			missed := s.moments[l.view.moment].over != 0 || s.done || l.view.shows != s.runtimes[l.of].upTo(s.writes)
			if missed && !moves.Going(self, theOwner, theWaker, theJournal) {
				return "a watcher waits for ever, though its view is over"
			}
		case !moves.Going(self, theOwner) && (!moves.Going(theJournal) || !lastRound && !s.round.old[l.of].changed):
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
	if n != 0 && n != closed {
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

// learn notes that somebody knows of a write, outside.
func (n *state) learn(write uint8) {
	if n.known = max(n.known, write); n.woken <= n.known {
		n.woken = 0
	}
}
