// Package model explores protocols of goroutines: all orders of their steps, for a
// small number of them. Its folders hold the protocols: of the hand-off, of readers,
// and of rounds in front of a journal.
//
// A protocol is a [Machine]. Its processes do one step at a time over one state, and a
// step touches what is shared at most once: a channel, a flag, a claim. [Explore] visits
// each state that any order of steps leads to, the nearest first, and stops at the first
// one that breaks a promise.
//
// That nobody waits for ever is checked without looking for cycles. Each step raises a
// rank, so every run ends, and each state in which a process and those that it may count
// on all stand still is one in which it waits for nothing.
package model

import (
	"hash/maphash"
	"slices"
)

// A Machine is a protocol. A state has no pointers, and changes only by a copy.
type Machine[S comparable] interface {
	// Start returns the state before the first step.
	Start() S
	// List adds the steps that can be done in a state.
	List(s *S, m *Moves[S])
	// Standing returns the promise that a state breaks, whose steps are in m, or "".
	Standing(s *S, m *Moves[S]) string
	// Rank grows with each step.
	Rank(s *S) int
	// Canonical returns the one state that stands for all which differ from s by names
	// only, and how many these are.
	Canonical(s S) (S, int)
	// Who names a process, in a trace.
	Who(p Process) string
	// Changes says what is other after a step, in a trace.
	Changes(before, after *S) []string
}

// A Process is one of a machine's, which numbers them from 0 to at most 63.
type Process uint8

// Moves are the steps that can be done in a state.
type Moves[S comparable] struct {
	All    []Move[S]
	who    Process
	broken string // what the step that comes next breaks
	going  uint64 // the processes that have a step to do, whatever the world does
}

// A Move is a step of a process.
type Move[S comparable] struct {
	Next   S
	Who    Process
	What   string
	Broken string // the promise that it breaks, "" if none
}

// Reset forgets all steps.
func (m *Moves[S]) Reset() { m.All, m.going = m.All[:0], 0 }

// Of says whose the steps are that come next.
func (m *Moves[S]) Of(p Process) { m.who, m.broken = p, "" }

// Check notes that the next step breaks a promise, if one does not hold.
func (m *Moves[S]) Check(holds bool, promise string) {
	if !holds && m.broken == "" {
		m.broken = promise
	}
}

// Step adds a step that its process does sooner or later.
func (m *Moves[S]) Step(next S, what string) {
	m.Go(m.who)
	m.Choice(next, what)
}

// Choice adds one that nobody may count on: a ctx ends, somebody calls.
func (m *Moves[S]) Choice(next S, what string) {
	m.All = append(m.All, Move[S]{next, m.who, what, m.broken})
	m.broken = ""
}

// Go notes that processes have a step to do.
func (m *Moves[S]) Go(all ...Process) {
	for _, p := range all {
		m.going |= 1 << p
	}
}

// Going reports whether one of these processes has a step to do.
func (m *Moves[S]) Going(any ...Process) bool {
	return slices.ContainsFunc(any, func(p Process) bool { return m.going>>p&1 == 1 })
}

// A Report is what an exploration has found.
type Report struct {
	States    int    // with those that differ by names
	Visited   int    // without
	Steps     int    // between those visited
	Violation string // the first promise that does not hold; "" if all do
	Trace     []string
}

// Explore visits the states of a machine, the nearest first, until one breaks a
// promise, all are visited, or the number of them is most. No trace is shorter than
// the one it finds.
func Explore[S comparable](machine Machine[S], most int) Report {
	x := explorer[S]{Machine: machine, seed: maphash.MakeSeed(), table: make([]uint32, 1<<10)}
	x.visit(machine.Start(), 0)
	for at := 0; at < x.Visited && x.Violation == "" && x.Visited < most; at++ {
		x.expand(uint32(at))
	}
	return x.Report
}

type explorer[S comparable] struct {
	Machine[S]
	Report
	moves Moves[S]
	found [][]node[S] // in the order in which they were found, in chunks that are never copied
	table []uint32    // their places, from 1, by hash; a power of two, and never full
	seed  maphash.Seed
}

type node[S comparable] struct {
	state S
	from  uint32
}

const chunk = 1 << 12

// visit adds a state, unless it was found before.
func (x *explorer[S]) visit(s S, from uint32) {
	s, orbit := x.Canonical(s)
	at := x.place(&s)
	if x.table[at] != 0 {
		return
	}
	if x.Visited%chunk == 0 {
		x.found = append(x.found, make([]node[S], chunk))
	}
	*x.node(uint32(x.Visited)) = node[S]{s, from}
	x.Visited++
	x.States += orbit
	x.table[at] = uint32(x.Visited)
	if 2*x.Visited > len(x.table) {
		x.table = make([]uint32, 2*len(x.table))
		for i := range uint32(x.Visited) {
			x.table[x.place(&x.node(i).state)] = i + 1
		}
	}
}

func (x *explorer[S]) node(at uint32) *node[S] { return &x.found[at/chunk][at%chunk] }

// place is where a state stands in the table, or would.
func (x *explorer[S]) place(s *S) int {
	last := len(x.table) - 1
	at := int(maphash.Comparable(x.seed, *s)) & last
	for x.table[at] != 0 && x.node(x.table[at]-1).state != *s {
		at = (at + 1) & last
	}
	return at
}

func (x *explorer[S]) list(s *S) {
	x.moves.Reset()
	x.List(s, &x.moves)
}

// expand takes each step that can be done in a state.
func (x *explorer[S]) expand(at uint32) {
	s := x.node(at).state
	x.list(&s)
	if broken := x.Standing(&s, &x.moves); broken != "" {
		x.refute(at, broken)
		return
	}
	rank := x.Rank(&s)
	for i := range x.moves.All {
		step := &x.moves.All[i]
		if step.Broken == "" && x.Rank(&step.Next) <= rank {
			step.Broken = "a step leads back: a run may have no end"
		}
		if step.Broken != "" {
			x.refute(at, step.Broken)
			return
		}
		x.Steps++
		x.visit(step.Next, at)
	}
}

// Ways is the number of orders of things, of which some are alike and side by side.
func Ways[T any](things []T, alike func(a, b T) bool) int {
	n, same := 1, 1
	for i := 1; i < len(things); i++ {
		same++
		if !alike(things[i-1], things[i]) {
			same = 1
		}
		n = n * (i + 1) / same
	}
	return n
}
