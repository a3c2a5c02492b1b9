package store

import (
	"cmp"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// A RunBoundaryReceipt is the proof that a run's boundary was applied: it
// names the inputs that took part and the conversation that came of it.
type RunBoundaryReceipt struct {
	RunID                RunID            `json:"run_id"`
	Boundary             RunApplyBoundary `json:"boundary"`
	ContributingInputIDs []InputID        `json:"contributing_input_ids"`
	// ConversationDigest is 64 lower-case hex digits in a receipt that a
	// boundary commit minted, any text or nil in one that a caller made.
	ConversationDigest *string `json:"conversation_digest,omitzero"`
	MessageCount       uint64  `json:"message_count"`
	Sequence           uint64  `json:"sequence"`
}

// Clone returns a copy that shares nothing with r.
func (r *RunBoundaryReceipt) Clone() RunBoundaryReceipt {
	c := *r
	c.ContributingInputIDs = slices.Clone(r.ContributingInputIDs)
	c.ConversationDigest = clone(r.ConversationDigest)
	return c
}

// PayloadBytes are how many bytes there are in what can grow: the ids and the
// digest.
func (r *RunBoundaryReceipt) PayloadBytes() int {
	return len(InputID{})*len(r.ContributingInputIDs) + textBytes(r.ConversationDigest)
}

// Validate returns a *ValueError if a part of r is not valid for its type, or the
// digest is not valid UTF-8.
func (r *RunBoundaryReceipt) Validate() error {
	return cmp.Or(
		InField("boundary", r.Boundary.Validate()),
		InField("conversation_digest", validText(r.ConversationDigest)),
	)
}

// MarshalJSON returns the receipt's JSON. An invalid receipt is a *ValueError.
func (r RunBoundaryReceipt) MarshalJSON() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	type plain RunBoundaryReceipt
	return marshal(plain(r))
}

// UnmarshalJSON reads a receipt. The error is a *ValueError, and r unchanged
// then.
func (r *RunBoundaryReceipt) UnmarshalJSON(data []byte) error {
	return replace(r, RunBoundaryReceipt{}, data, (*RunBoundaryReceipt).read)
}

func (r *RunBoundaryReceipt) read(dec *jsontext.Decoder) error {
	return readObject(dec,
		member{"run_id", required, &r.RunID},
		member{"boundary", required, &r.Boundary},
		member{"contributing_input_ids", required, readIDs(&r.ContributingInputIDs)},
		member{"conversation_digest", optional, &r.ConversationDigest},
		member{"message_count", required, &r.MessageCount},
		member{"sequence", required, &r.Sequence},
	)
}
