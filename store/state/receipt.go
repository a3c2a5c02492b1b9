package state

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/loopstore/loopstore/store"
)

// A Receipt is a [RunBoundaryReceipt] as a State keeps it, in fewer bytes. It
// must not be changed once it is in one.
type Receipt struct {
	RunID    store.RunID
	Sequence uint64

	messages uint64
	rest     *rest         // what there is no room for here, mostly nil
	digest   [32]byte      // if it is one
	input    store.InputID // if there is just one
	boundary uint8         // in boundaries
	digests  digesting     // what digest is
	single   bool          // there is just one input
}

var boundaries = []store.RunApplyBoundary{store.Immediate, store.RunStart, store.RunCheckpoint}

type rest struct {
	ids    []store.InputID
	digest string
}

type digesting uint8

const (
	noDigest digesting = iota
	isDigest
	isText // in rest: of a receipt that a caller made
)

// NewReceipt returns what is kept of a valid receipt. It shares nothing with it.
func NewReceipt(r *store.RunBoundaryReceipt) *Receipt {
	var digest []byte
	if text := r.ConversationDigest; text != nil && len(*text) == 2*len(Receipt{}.digest) && *text == strings.ToLower(*text) {
		digest, _ = hex.DecodeString(*text)
	}
	c := newReceipt(r.RunID, r.Boundary, r.ContributingInputIDs, r.MessageCount)
	c.Sequence = r.Sequence
	switch {
	case len(digest) == len(c.digest):
		c.digest, c.digests = [32]byte(digest), isDigest
	case r.ConversationDigest != nil:
		if c.rest == nil {
			c.rest = new(rest)
		}
		c.rest.digest, c.digests = strings.Clone(*r.ConversationDigest), isText
	}
	return c
}

// MintReceipt returns a receipt that has no sequence and no conversation yet. It shares
// nothing with the commit.
func MintReceipt(commit *store.BoundaryCommit) *Receipt {
	return newReceipt(commit.RunID, commit.Boundary, commit.ContributingInputIDs, 0)
}

// Mint gives a receipt its sequence, and the conversation of a snapshot that was read.
func (r *Receipt) Mint(sequence uint64, snapshot *store.Snapshot) {
	d := snapshot.Document()
	r.Sequence, r.messages, r.digest, r.digests = sequence, d.MessageCount(), d.Digest(), isDigest
}

func newReceipt(run store.RunID, boundary store.RunApplyBoundary, ids []store.InputID, messages uint64) *Receipt {
	c := &Receipt{RunID: run, messages: messages, boundary: uint8(slices.Index(boundaries, boundary))}
	switch len(ids) {
	case 0:
	case 1:
		c.input, c.single = ids[0], true
	default:
		c.rest = &rest{ids: slices.Clone(ids)}
	}
	return c
}

// Value returns the receipt. It shares nothing with r.
func (r *Receipt) Value() store.RunBoundaryReceipt {
	v := store.RunBoundaryReceipt{
		RunID: r.RunID, Boundary: boundaries[r.boundary], MessageCount: r.messages, Sequence: r.Sequence,
	}
	v.ContributingInputIDs = r.inputs()
	switch r.digests {
	case isDigest:
		v.ConversationDigest = new(hex.EncodeToString(r.digest[:]))
	case isText:
		v.ConversationDigest = new(r.rest.digest)
	}
	return v
}

// inputs returns the ids of the contributing inputs, nil if there is none.
func (r *Receipt) inputs() []store.InputID {
	switch {
	case r.single:
		return []store.InputID{r.input}
	case r.rest != nil:
		return slices.Clone(r.rest.ids)
	}
	return nil
}

func (r *Receipt) equal(other *Receipt) bool {
	a, b := *r, *other
	a.rest, b.rest = nil, nil
	if a != b || (r.rest == nil) != (other.rest == nil) {
		return false
	}
	return r.rest == nil || slices.Equal(r.rest.ids, other.rest.ids) && r.rest.digest == other.rest.digest
}

// PutReceipt adds a receipt, or replaces the one at its run and sequence.
func (s *State) PutReceipt(id store.RuntimeID, receipt *Receipt) {
	rt := s.open(id)
	at := s.openRun(rt, receipt.RunID)
	s.set(rt, part{kind: aReceipt, at: at, nth: receipt.Sequence}, value{receipt: receipt})
	s.raise(rt, at, receipt.Sequence)
	s.set(rt, part{kind: theLatest}, value{receipt: receipt})
}
