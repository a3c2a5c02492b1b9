package lincheck_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/lincheck"
)

// A literal store hashes the messages as they are spelled.
type literal struct{ *loopstore.Loop }

func (s literal) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, commit)
	if err == nil && isDocument(commit) {
		sum := sha256.Sum256(messages(commit, nil))
		receipt.ConversationDigest = new(hex.EncodeToString(sum[:]))
	}
	return receipt, err
}

func TestSpellingsAreTried(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return literal{l} })
}

// isDocument reports whether it is a session document that is committed.
func isDocument(commit store.BoundaryCommit) bool {
	return commit.Session.Format == store.FormatUnset || commit.Session.Format == store.FormatMeerkat
}

// messages returns a document's messages as they are spelled. If look is not nil, it calls
// look with them.
func messages(commit store.BoundaryCommit, look func([]json.RawMessage)) []byte {
	var document struct{ Messages json.RawMessage }
	var list []json.RawMessage
	if json.Unmarshal(commit.Session.SessionSnapshot, &document) != nil || json.Unmarshal(document.Messages, &list) != nil {
		panic("not a document")
	}
	if look != nil {
		look(list)
	}
	return document.Messages
}

// A credulous store takes an earlier message for one that it knows if both have the same
// length. So its digest is wrong where a message was edited.
type credulous struct {
	*loopstore.Loop
	known *sync.Map // by place and length
}

func (s credulous) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, commit)
	if err != nil || !isDocument(commit) {
		return receipt, err
	}
	edited := false
	messages(commit, func(list []json.RawMessage) {
		for i, m := range list[:len(list)-1] {
			var content struct{ Role, Content string }
			if json.Unmarshal(m, &content) != nil || content.Role != "system" {
				continue // a system message has its text in one place
			}
			old, ok := s.known.LoadOrStore([2]int{i, len(content.Content)}, content.Content)
			edited = edited || ok && old != content.Content
		}
	})
	if edited {
		receipt.ConversationDigest = new("of another conversation")
	}
	return receipt, err
}

func TestEditsOfTheSameLengthAreTried(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return credulous{l, new(sync.Map)} })
}

// A watching store notes what is committed to it.
type watching struct {
	*loopstore.Loop
	roles *sync.Map
	batch *atomic.Int64
}

func (s watching) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, commit)
	if err == nil && isDocument(commit) {
		messages(commit, func(list []json.RawMessage) {
			var last struct{ Role string }
			_ = json.Unmarshal(list[len(list)-1], &last)
			s.roles.Store(last.Role, true)
		})
		if n := int64(len(commit.InputUpdates)); n > s.batch.Load() {
			s.batch.Store(n)
		}
	}
	return receipt, err
}

func TestRolesAndLongBatchesAreTried(t *testing.T) {
	w := watching{roles: new(sync.Map), batch: new(atomic.Int64)}
	lincheck.Check(t, func() store.RuntimeStore {
		w.Loop = loopstore.New(loopstore.Options{})
		return w
	}, lincheck.Config{Histories: 2, Spanning: 1})
	for _, role := range []string{"user", "system", "assistant", "block_assistant", "tool_results"} {
		_, ok := w.roles.Load(role)
		assert.True(t, ok, role)
	}
	assert.Greater(t, w.batch.Load(), int64(20))
}
