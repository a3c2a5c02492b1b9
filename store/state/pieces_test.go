package state_test

import (
	"bytes"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/state"
)

// TestGroupsWithPieces does random operations in groups with the pieces of clearings and of
// an import, some of which the journal rejects, and opens the journal again now and then.
// After each group it holds what the State does, and as many left-overs more.
func TestGroupsWithPieces(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := &pieced{T: t, r: r, seed: seed, journal: kept{}}
		p.state = &state.State{BatchBytes: []int64{64, 400, 4000, 40000}[r.IntN(4)]}
		switch r.IntN(3) {
		case 0:
			p.state.Retention = someRetention(r)
		case 1:
			p.state.Retention.Sessions.Last = 5
		}
		if r.IntN(2) == 0 {
			keepKeys(p.state, r)
		}
		importing := r.IntN(2) == 0
		for n := range 60 {
			p.group(!importing || n > 20)
			if r.IntN(12) == 0 {
				p.reopen()
			}
		}
		if p.in != nil {
			p.end()
		}
		for p.clearPiece() {
			p.check()
		}
		require.Zero(t, p.state.LeftOvers(), "seed %d", seed)
	}
}

// A pieced State has a journal that takes little at once.
type pieced struct {
	*testing.T
	r        *rand.Rand
	seed     uint64
	state    *state.State
	journal  kept
	clearing []*pieces

	in     *state.Import
	coming *pieces // of it
	ended  bool    // it is to be aborted
}

// pieces come one after the other. The first is there until it is stored.
type pieces struct {
	next  func() (state.Piece, bool)
	stop  func()
	first *state.Piece
}

func piecesOf(seq iter.Seq[state.Piece]) *pieces {
	next, stop := iter.Pull(seq)
	return &pieces{next: next, stop: stop}
}

func (p *pieces) peek() (state.Piece, bool) {
	if p.first == nil {
		piece, ok := p.next()
		if !ok {
			return piece, false
		}
		p.first = &piece
	}
	return *p.first, true
}

// group does a group, and checks what it leaves.
func (p *pieced) group(operations bool) {
	s, r := p.state, p.r
	if r.IntN(3) == 0 {
		s.View(runtimeIDs[r.IntN(len(runtimeIDs))])
	}
	if p.in == nil && r.IntN(4) == 0 {
		p.begin()
	}
	s.Begin()
	var stored []*pieces
	adopted := false
	for range 1 + r.IntN(4) {
		switch what := r.IntN(4); {
		case what < 2 && operations:
			operate(s, r.Uint64())
		case what == 2 && len(p.clearing) > 0:
			one := p.clearing[r.IntN(len(p.clearing))]
			if piece, ok := one.peek(); ok && !slices.Contains(stored, one) {
				require.NoError(p, s.StorePiece(piece), "seed %d", p.seed)
				stored = append(stored, one)
			}
		case what == 3 && p.in != nil && !adopted && !slices.Contains(stored, p.coming):
			piece, more := p.coming.peek()
			var err error
			if more {
				err = s.StorePiece(piece)
			} else if _, err = s.EndImport(p.in); err == nil {
				s.Settle()
				adopted = true
			}
			p.ended = p.ended || r.IntN(20) == 0 || err != nil && !errors.Is(err, store.ErrBusy)
			if err == nil && more {
				stored = append(stored, p.coming)
			}
		}
	}
	if r.IntN(3) == 0 {
		if r.IntN(2) == 0 {
			s.Changes()
		}
		s.Rollback()
		p.check()
		return
	}
	p.commit()
	for _, one := range stored {
		one.first = nil
	}
	if adopted {
		p.in, p.ended = nil, false
	} else if p.in != nil && p.ended {
		p.end()
	}
	p.check()
}

func (p *pieced) commit() {
	p.journal.apply(p.state.Changes())
	p.state.Commit()
	for _, clearing := range p.state.Clearing() {
		p.clearing = append(p.clearing, piecesOf(clearing))
		p.Cleanup(p.clearing[len(p.clearing)-1].stop)
	}
}

// begin begins an import of what some operations make, if nothing was held yet.
func (p *pieced) begin() {
	in, err := p.state.BeginImport(7)
	if err != nil {
		return
	}
	var file bytes.Buffer
	made := new(state.State)
	keepKeys(made, p.r)
	for range p.r.IntN(25) {
		operate(made, p.r.Uint64())
	}
	require.NoError(p, archive.Write(&file, made.Image()))
	from, err := archive.Read(&file)
	require.NoError(p, err)
	p.in, p.coming = in, piecesOf(in.Pieces(from))
	p.Cleanup(p.coming.stop)
	_, _ = p.coming.peek() // so that it knows what it imports
}

// end aborts the import.
func (p *pieced) end() {
	p.coming.stop()
	p.state.Begin()
	require.NoError(p, p.state.StorePiece(p.in.Abort()))
	p.commit()
	p.in, p.ended = nil, false
}

// clearPiece removes a piece in a group of its own, if there is one.
func (p *pieced) clearPiece() bool {
	for len(p.clearing) > 0 {
		if piece, ok := p.clearing[0].peek(); ok {
			p.state.Begin()
			require.NoError(p, p.state.StorePiece(piece))
			p.commit()
			p.clearing[0].first = nil
			return true
		}
		p.clearing = p.clearing[1:]
	}
	return false
}

// reopen goes on with what the journal has.
func (p *pieced) reopen() {
	if len(p.journal) == 0 {
		return
	}
	again, err := p.journal.replay()
	require.NoError(p, err, "seed %d", p.seed)
	again.BatchBytes, again.Retention = p.state.BatchBytes, p.state.Retention
	again.Tombstones, again.UniqueKeys = p.state.Tombstones, p.state.UniqueKeys
	p.state, p.clearing, p.in, p.ended = again, nil, nil, false
	for _, clearing := range again.Clearing() {
		p.clearing = append(p.clearing, piecesOf(clearing))
		p.Cleanup(p.clearing[len(p.clearing)-1].stop)
	}
}

// check compares what the State holds with what the journal has.
func (p *pieced) check() {
	p.Helper()
	if len(p.journal) == 0 {
		return
	}
	again, err := p.journal.replay()
	require.NoError(p, err, "seed %d", p.seed)
	standing := keptOf(p.state)
	require.Equal(p, p.state.LeftOvers(), again.LeftOvers(), "seed %d", p.seed)
	require.Len(p, p.journal, len(standing)+int(p.state.LeftOvers()), "seed %d", p.seed)
	for key, value := range standing {
		require.Equal(p, value, p.journal[key], "seed %d, key %x", p.seed, key)
	}
	require.Equal(p, standing, keptOf(again), "seed %d", p.seed)
}
