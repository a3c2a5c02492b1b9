package ops_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// standing says what stands.
type standing func(store.RuntimeID) *store.Snapshot

func (s standing) Standing(id store.RuntimeID) *store.Snapshot { return s(id) }

// unknown says that nothing is known of what stands.
var unknown = standing(func(store.RuntimeID) *store.Snapshot { return nil })

func appending(text string) store.SessionDelta {
	return store.SessionDelta{SessionSnapshot: []byte(text), Format: store.FormatLines, Append: true}
}

func committing(text string) *ops.CommitSessionBoundary {
	return &ops.CommitSessionBoundary{RuntimeID: "a", Commit: store.BoundaryCommit{Session: appending(text), Boundary: store.RunStart}}
}

// linesDigest is what a receipt says of JSON Lines.
func linesDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func apply(s *state.State, step ops.Step) error {
	err := ops.Apply(s, step)
	s.Settle()
	return err
}

func put(t *testing.T, s *state.State, text string) {
	t.Helper()
	op := committing(text)
	require.NoError(t, op.Prepare(s))
	require.NoError(t, apply(s, op))
}

// What was prepared for a session that was replaced changes nothing, and is done again
// from what stood then.
func TestAStaleAppendIsDoneAgain(t *testing.T) {
	s := new(state.State)
	put(t, s, "1\n")
	late := committing("3\n")
	require.NoError(t, late.Prepare(s))
	put(t, s, "2\n")
	before := s.Revision()
	require.ErrorIs(t, apply(s, late), ops.ErrAgain)
	assert.Equal(t, before, s.Revision())
	require.NoError(t, late.Prepare(unknown)) // what stood is known by now
	require.NoError(t, apply(s, late))
	assert.Equal(t, "1\n2\n3\n", s.Snapshot("a").String())
	receipt := late.Answer()
	assert.Equal(t, linesDigest("1\n2\n3\n"), *receipt.ConversationDigest)
	assert.EqualValues(t, 3, receipt.MessageCount)
	assert.EqualValues(t, 2, receipt.Sequence)
}

// A caller that always comes late leaves the last step to the owner, if that is short
// and can go on from a hash that is there.
func TestTheOwnerAppendsForWhoAlwaysComesLate(t *testing.T) {
	late := func(s *state.State, op *ops.CommitSessionBoundary) (tries int) {
		for err := ops.ErrAgain; err != nil; tries++ {
			if tries == 10 {
				return tries
			}
			require.NoError(t, op.Prepare(s))
			put(t, s, "0\n")
			if err = apply(s, op); err != nil {
				require.ErrorIs(t, err, ops.ErrAgain)
			}
		}
		return tries
	}
	s := new(state.State)
	short := strings.Repeat("1\n", 32<<10)
	text := []byte(short)
	op := committing("")
	op.Commit.Session.SessionSnapshot = text
	assert.Equal(t, 4, late(s, op))
	want := strings.Repeat("0\n", 4) + short
	assert.Equal(t, want, s.Snapshot("a").String())
	assert.Equal(t, linesDigest(want), *op.Answer().ConversationDigest)
	clear(text)
	assert.Equal(t, want, s.Snapshot("a").String())

	assert.Equal(t, 10, late(s, committing(short+"1\n")), "longer than the owner will")
	before := s.Snapshot("a").Len()
	assert.Equal(t, 4, late(s, committing("1\n")))
	assert.Equal(t, before+4*2+2, s.Snapshot("a").Len())
}

// A caller may take his bytes back while the owner has the last step to do, as one does
// whose context has ended.
func TestTheOwnerAppendsACopy(t *testing.T) {
	s := new(state.State)
	text := []byte("1\n")
	op := committing("")
	op.Commit.Session.SessionSnapshot = text
	for range 3 {
		require.NoError(t, op.Prepare(s))
		put(t, s, "0\n")
		require.ErrorIs(t, apply(s, op), ops.ErrAgain)
	}
	require.NoError(t, op.Prepare(s))
	put(t, s, "0\n")
	copy(text, "x\n")
	require.NoError(t, apply(s, op))
	assert.Equal(t, "0\n0\n0\n0\n1\n", s.Snapshot("a").String())
	assert.Equal(t, linesDigest("0\n0\n0\n0\n1\n"), *op.Answer().ConversationDigest)
}

// An operation may be applied again as it was prepared, when a journal has rejected its
// round. Its caller may have vanished since, and uses the bytes for something else.
func TestTheOwnerAppendsItsOwnCopy(t *testing.T) {
	s := new(state.State)
	put(t, s, "1\n")
	late := committing("2\n")
	require.NoError(t, late.Prepare(unknown))
	for range 10 {
		require.ErrorIs(t, apply(s, late), ops.ErrAgain)
	}
	require.NoError(t, late.Prepare(unknown))
	put(t, s, "3\n")
	copy(late.Commit.Session.SessionSnapshot, "xx")
	require.NoError(t, apply(s, late))
	assert.Equal(t, "1\n3\n2\n", s.Snapshot("a").String())
}

// The hash of all of a text is never made on the owner.
func TestTheOwnerHashesNoWholeText(t *testing.T) {
	restored := func() *store.Snapshot {
		d, err := (*session.Document)(nil).Replace(store.FormatLines, "1\n", 0)
		require.NoError(t, err)
		again, ok := session.Restore(d.Facts(), d.Text())
		require.True(t, ok)
		return new(store.SnapshotOfDocument(again))
	}
	s := new(state.State)
	op := committing("2\n")
	for range 10 {
		require.NoError(t, op.Prepare(s))
		s.PutSnapshot("a", restored(), nil)
		s.Settle()
		require.ErrorIs(t, apply(s, op), ops.ErrAgain)
		assert.False(t, s.Snapshot("a").Document().Hashed())
	}
	require.NoError(t, op.Prepare(s))
	require.NoError(t, apply(s, op))
	assert.Equal(t, linesDigest("1\n2\n"), s.Snapshot("a").Digest())
}

func TestABatchAppendsToWhatItHasWritten(t *testing.T) {
	s := new(state.State)
	s.Retention.Sessions.Last = 9
	put(t, s, "1\n")
	put(t, s, "2\n")
	op := &ops.Commit{Batch: batch.Batch{Then: []batch.Write{
		batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte("3\n"), Format: store.FormatLines, Append: true},
		batch.CommitBoundary{RuntimeID: "a", Commit: committing("4\n").Commit},
		batch.PutReceipt{RuntimeID: "a", Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart, Sequence: 7}},
		batch.RestoreSession{RuntimeID: "a", Number: 1},
		batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte("5\n"), Format: store.FormatLines, Append: true},
		batch.CommitBoundary{RuntimeID: "b", Commit: committing("6\n").Commit},
		batch.DeleteRuntime{RuntimeID: "b"},
		batch.CommitBoundary{RuntimeID: "b", Commit: committing("7\n").Commit},
	}}}
	require.NoError(t, op.Prepare(s))
	require.ErrorIs(t, apply(s, op), ops.ErrAgain, "what is restored was not known")
	require.NoError(t, op.Prepare(s))
	require.NoError(t, apply(s, op))
	var texts []string
	for v := range s.View("a").Sessions() {
		texts = append(texts, v.Snapshot.String())
		assert.Equal(t, linesDigest(v.Snapshot.String()), v.Snapshot.Digest())
	}
	assert.Equal(t, []string{"1\n", "1\n2\n", "1\n2\n3\n", "1\n2\n3\n4\n", "1\n", "1\n5\n"}, texts)
	assert.Equal(t, "7\n", s.Snapshot("b").String())
	assert.Equal(t, linesDigest("1\n2\n3\n4\n"), *op.Answer().Receipts[0].ConversationDigest)
}

func TestDeltasThatCannotBe(t *testing.T) {
	s := new(state.State)
	put(t, s, "1\n")
	for name, c := range map[string]struct {
		delta store.SessionDelta
		field string
	}{
		"no such format":     {store.SessionDelta{Format: 4}, "session.format"},
		"no such format 255": {store.SessionDelta{Format: 255, Append: true}, "session.format"},
		"append to any":      {store.SessionDelta{Append: true}, "session.append"},
		"append to Meerkat":  {store.SessionDelta{Append: true, Format: store.FormatMeerkat}, "session.append"},
		"messages of lines":  {store.SessionDelta{Format: store.FormatLines, Messages: 1}, "session.messages"},
		"another format":     {store.SessionDelta{Format: store.FormatOpaque, Append: true}, "session.format"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, op := range []interface {
				Prepare(ops.Standing) error
				ops.Step
			}{
				&ops.CommitSessionBoundary{RuntimeID: "a", Commit: store.BoundaryCommit{Session: c.delta, Boundary: store.RunStart}},
				&ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{Session: &c.delta, Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart}}},
				&ops.Commit{Batch: batch.Batch{Then: []batch.Write{batch.PutSnapshot{
					RuntimeID: "a", Format: c.delta.Format, Append: c.delta.Append, Messages: c.delta.Messages,
				}}}},
			} {
				err := op.Prepare(s)
				if err == nil {
					err = apply(s, op)
				}
				v, ok := errors.AsType[*store.ValueError](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, c.field, v.Field)
			}
		})
	}
	op := committing("2\n3")
	err := op.Prepare(s)
	require.ErrorIs(t, err, store.ErrInvalidSnapshot)
	where, ok := errors.AsType[*session.Error](err)
	require.True(t, ok)
	assert.Equal(t, 2, where.Line)
	assert.Equal(t, "1\n", s.Snapshot("a").String())

	s.Limits.SnapshotBytes = 5
	put(t, s, "2\n")
	op = committing("3\n")
	require.NoError(t, op.Prepare(s))
	limit, ok := errors.AsType[*store.LimitError](apply(s, op))
	require.True(t, ok)
	assert.Equal(t, &store.LimitError{Limit: "snapshot_bytes", Most: 5, Asked: 6}, limit)
}
