package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

// A grown session is what changes make of one that takes them one after the other.
type grown struct {
	there  bool
	format store.Format
	text   []byte
	hash   hash.Hash
	count  uint64
}

func (g *grown) change(d store.SessionDelta) {
	if !g.there || !d.Append {
		*g = grown{there: true, format: d.Format, hash: sha256.New()}
	}
	g.text = append(g.text, d.SessionSnapshot...)
	g.hash.Write(d.SessionSnapshot)
	if g.count = d.Messages; d.Format == store.FormatLines {
		g.count = uint64(strings.Count(string(g.text), "\n"))
	}
}

func (g *grown) content() content {
	return content{"grown", g.format, string(g.text), hex.EncodeToString(g.hash.Sum(nil)), g.count}
}

// says checks a receipt.
func (g *grown) says(receipt store.RunBoundaryReceipt) error {
	digest := hex.EncodeToString(g.hash.Sum(nil))
	if got := receipt.ConversationDigest; got == nil || *got != digest || receipt.MessageCount != g.count {
		return fmt.Errorf("the receipt says %s, and the session has %d messages then, with the digest %s", textOf(receipt), g.count, digest)
	}
	return nil
}

// A step is a change of a session that was acknowledged.
type step struct {
	at      uint64 // its place among the others
	name    string
	deletes bool // all that was there before
	changes []store.SessionDelta
	minted  []store.RunBoundaryReceipt // one for each
}

// steps are those of many callers.
type steps struct {
	mu  sync.Mutex
	all []step
}

func (s *steps) note(one step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one)
}

// tookTurns checks that the steps took effect one after the other, in the order of
// their places, and that nothing else did.
func (tr *trial) tookTurns(s *steps, id store.RuntimeID) {
	tr.Helper()
	slices.SortFunc(s.all, func(a, b step) int { return int(a.at) - int(b.at) })
	var want grown
	for i, one := range s.all {
		require.True(tr, i == 0 || s.all[i-1].at < one.at, "two changes have place %d", one.at)
		if one.deletes {
			want = grown{}
		}
		for n, d := range one.changes {
			want.change(d)
			require.NoError(tr, want.says(one.minted[n]), "%s, at place %d", one.name, one.at)
		}
	}
	if !want.there {
		assert.False(tr, tr.view(id).HasSnapshot, "the session was deleted")
		return
	}
	tr.holds(id, want.content(), "after all changes")
}

// commitStep commits a change to run 1, and notes it by its sequence.
func (tr *trial) commitStep(ctx context.Context, s *steps, name string, d store.SessionDelta) error {
	c := committing(store.RunID{1})
	c.Session = d
	given := slices.Clone(d.SessionSnapshot)
	receipt, err := tr.store.CommitSessionBoundary(ctx, "a", c)
	clear(d.SessionSnapshot) // it is the caller's again
	if err == nil {
		d.SessionSnapshot = given
		s.note(step{at: receipt.Sequence, name: name, changes: []store.SessionDelta{d}, minted: []store.RunBoundaryReceipt{receipt}})
	}
	return err
}
