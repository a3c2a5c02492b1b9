package storetest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/storetest"
)

// faultyPast makes stores that keep earlier versions too.
func faultyPast(spoil func(*loopstore.Loop) store.RuntimeStore) storetest.Factory {
	f := faultyExtra(spoil)
	f.OpenWith = func(_ testing.TB, opts loopstore.Options) store.RuntimeStore {
		return spoil(loopstore.New(opts))
	}
	return f
}

// formatted reports whether a write of a batch names a format.
func formatted(b batch.Batch) bool {
	for _, w := range b.Then {
		switch w := w.(type) {
		case batch.PutSnapshot:
			if w.Format != store.FormatUnset {
				return true
			}
		case batch.CommitBoundary:
			if w.Commit.Session.Format != store.FormatUnset {
				return true
			}
		}
	}
	return false
}

// takesHalfALine ends the last line itself.
type takesHalfALine struct{ *loopstore.Loop }

func (s takesHalfALine) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	if errors.Is(err, store.ErrInvalidSnapshot) && c.Session.Format == store.FormatLines && !c.Session.Append {
		c.Session.SessionSnapshot = append(c.Session.SessionSnapshot[:len(c.Session.SessionSnapshot):len(c.Session.SessionSnapshot)], '\n')
		if again, failed := s.Loop.CommitSessionBoundary(ctx, id, c); failed == nil {
			return again, nil
		}
	}
	return receipt, err
}

// hashesTheBeginning hashes no more than 1 MiB of JSON Lines.
type hashesTheBeginning struct{ *loopstore.Loop }

func (s hashesTheBeginning) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	const most = 1 << 20
	if text := c.Session.SessionSnapshot; err == nil && !c.Session.Append && c.Session.Format == store.FormatLines && len(text) > most {
		return mintAgain(ctx, s.Loop, id, receipt, text[:most], receipt.MessageCount)
	}
	return receipt, err
}

// mintAgain puts a receipt in the place of one that was minted, of another text.
func mintAgain(ctx context.Context, l *loopstore.Loop, id store.RuntimeID, receipt store.RunBoundaryReceipt, text []byte, messages uint64) (store.RunBoundaryReceipt, error) {
	sum := sha256.Sum256(text)
	receipt.ConversationDigest, receipt.MessageCount = new(hex.EncodeToString(sum[:])), messages
	return receipt, l.AtomicApply(context.WithoutCancel(ctx), id, store.BoundaryApply{Receipt: receipt})
}

// appendsToAStaleBase reads what stands, and then puts a whole text in its place.
type appendsToAStaleBase struct{ *loopstore.Loop }

func (s appendsToAStaleBase) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	whole := c
	if v, err := s.View(ctx, id); err == nil && c.Session.Append && c.Session.Format == store.FormatLines {
		stands, ok := v.Snapshot()
		_, bad := session.ReadAddition(store.FormatLines, string(c.Session.SessionSnapshot), 0)
		if bad == nil && (!ok || stands.Format() == store.FormatLines) {
			runtime.Gosched() // another call may come between
			whole.Session.SessionSnapshot, whole.Session.Append = append(stands.Bytes(), c.Session.SessionSnapshot...), false
		}
	}
	return s.Loop.CommitSessionBoundary(ctx, id, whole)
}

// digestsTheAddition mints the digest of what a commit adds.
type digestsTheAddition struct{ *loopstore.Loop }

func (s digestsTheAddition) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	if err != nil || !c.Session.Append {
		return receipt, err
	}
	return mintAgain(ctx, s.Loop, id, receipt, c.Session.SessionSnapshot, receipt.MessageCount)
}

// countsTheAddition mints the number of messages of what a commit adds.
type countsTheAddition struct{ *loopstore.Loop }

func (s countsTheAddition) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, c store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	receipt, err := s.Loop.CommitSessionBoundary(ctx, id, c)
	if err != nil || !c.Session.Append || c.Session.Format != store.FormatLines {
		return receipt, err
	}
	whole, _, err := s.LoadSessionSnapshot(context.WithoutCancel(ctx), id)
	if err != nil {
		return receipt, err
	}
	more, _ := session.ReadAddition(store.FormatLines, string(c.Session.SessionSnapshot), 0)
	return mintAgain(ctx, s.Loop, id, receipt, whole, more.To(nil).MessageCount())
}

// sharesWhatChanges gives an earlier version the bytes that are in its place now.
type sharesWhatChanges struct{ *loopstore.Loop }

func (s sharesWhatChanges) LoadSessionAt(ctx context.Context, id store.RuntimeID, number uint64) (store.Snapshot, bool, error) {
	at, ok, err := s.Loop.LoadSessionAt(ctx, id, number)
	now, _, failed := s.LoadSessionSnapshot(ctx, id)
	if !ok || failed != nil || at.Format() != store.FormatLines || len(now) < at.Len() {
		return at, ok, err
	}
	changed, bad := store.Snapshot{}.Replace(store.FormatOpaque, string(now[:at.Len()]), at.MessageCount())
	if bad == nil && changed.Digest() != at.Digest() {
		return changed, true, nil
	}
	return at, ok, err
}

// forksFollow makes forks that see what is committed to what they were forked from.
type forksFollow struct {
	*loopstore.Loop
	mu    sync.Mutex
	forks map[store.RuntimeID]store.RuntimeID // the last one of each
}

func (s *forksFollow) Fork(ctx context.Context, from store.RuntimeID, number uint64, to store.RuntimeID) error {
	err := s.Loop.Fork(ctx, from, number, to)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.forks[from] = to
	}
	return err
}

func (s *forksFollow) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	result, err := s.Loop.Commit(ctx, b)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range b.Then {
		if put, ok := w.(batch.PutSnapshot); ok && put.Append && err == nil && s.forks[put.RuntimeID] != "" {
			put.RuntimeID = s.forks[put.RuntimeID]
			_, _ = s.Loop.Commit(context.WithoutCancel(ctx), batch.Batch{Then: []batch.Write{put}})
		}
	}
	return result, err
}

// reusesNumbers goes back by taking away the versions that came later.
type reusesNumbers struct{ *loopstore.Loop }

func (s reusesNumbers) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	restore, ok := batch.RestoreSession{}, false
	if len(b.Then) == 1 {
		restore, ok = b.Then[0].(batch.RestoreSession)
	}
	v, err := s.View(ctx, restore.RuntimeID)
	if !ok || err != nil {
		return s.Loop.Commit(ctx, b)
	}
	if _, there := v.SessionAt(restore.Number); !there {
		return s.Loop.Commit(ctx, b)
	}
	b.Then = []batch.Write{batch.DeleteRuntime{RuntimeID: restore.RuntimeID}}
	for number := range restore.Number { // those that have gone, too, so that the others have their numbers
		one, _ := v.SessionAt(number + 1)
		put := batch.PutSnapshot{RuntimeID: restore.RuntimeID, Snapshot: one.Snapshot.Bytes(), Format: one.Snapshot.Format()}
		if put.Format == store.FormatOpaque {
			put.Messages = one.Snapshot.MessageCount()
		}
		b.Then = append(b.Then, put)
	}
	return s.Loop.Commit(ctx, b)
}

// keepsOneTooMany keeps one version more than it is told.
func keepsOneTooMany() storetest.Factory {
	f := faultyPast(func(l *loopstore.Loop) store.RuntimeStore { return l })
	f.OpenWith = func(_ testing.TB, opts loopstore.Options) store.RuntimeStore {
		if opts.Retention.Sessions.Last > 0 {
			opts.Retention.Sessions.Last++
		}
		return loopstore.New(opts)
	}
	return f
}
