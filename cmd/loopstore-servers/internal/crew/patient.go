package crew

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
)

// A patient is a store that makes a call again if it was not applied because its
// partition was not served or the holder was gone. If the outcome of a boundary commit
// is unknown, it first finds out: see CommitSessionBoundary. Any other write leaves the
// same state when it is applied twice.
//
// A runtime must be with one caller at a time, or a repeated write would replace what
// another caller has written since.
type patient struct {
	store.RuntimeStore                           // every operation but CommitSessionBoundary
	reach              func() store.RuntimeStore // what to call now
	runs               *ledger
	outcomes           *outcomes
}

func newPatient(reach func() store.RuntimeStore, runs *ledger, calls *outcomes) *patient {
	p := &patient{reach: reach, runs: runs, outcomes: calls}
	p.RuntimeStore = ops.Forward(p.repeat)
	return p
}

// repeat makes a call that may be applied twice: a load, or any write but a boundary
// commit.
func (p *patient) repeat(ctx context.Context, call ops.Call) error {
	return p.persist(ctx, func(s store.RuntimeStore, _ *error) error {
		err := call.On(ctx, s)
		if errors.Is(err, store.ErrOutcomeUnknown) {
			p.outcomes.repeated.Add(1)
		}
		return err
	})
}

// outcomes count what came of calls that failed. When all have ended well, unknown is
// the sum of stored, absent and repeated.
type outcomes struct {
	again    atomic.Int64 // calls that were made again
	unknown  atomic.Int64 // outcomes that were unknown
	stored   atomic.Int64 // commits of these whose receipt was there
	absent   atomic.Int64 // commits whose receipt was not there, so they were made again
	repeated atomic.Int64 // other writes, which were made again
}

const (
	longestPatience = 30 * time.Second
	firstPause      = 5 * time.Millisecond
	longestPause    = 250 * time.Millisecond
)

// untouched reports whether an error, which is not store.ErrOutcomeUnknown, means that
// nothing was applied and that another store may answer by now.
func untouched(err error) bool {
	_, ended := errors.AsType[*store.JournalError](err)
	return ended || errors.Is(err, cluster.ErrNotHolder) || errors.Is(err, store.ErrClosed)
}

// persist makes a call until it succeeds, fails in a way that another try would not
// change, or patience ends. doubt is the error of the last try whose outcome is
// unknown. A call that finds out the outcome sets it to nil. A doubt that is left is
// part of what persist returns.
func (p *patient) persist(ctx context.Context, call func(s store.RuntimeStore, doubt *error) error) error {
	waiting, cancel := context.WithTimeout(ctx, longestPatience)
	defer cancel()
	var doubt error
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := call(p.reach(), &doubt)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, store.ErrOutcomeUnknown):
			p.outcomes.unknown.Add(1)
			doubt, err = err, nil
		case !untouched(err):
			return errors.Join(doubt, err)
		}
		if !wait(waiting, pause/2+rand.N(pause/2)) {
			return errors.Join(doubt, err)
		}
		if pause == firstPause {
			p.outcomes.again.Add(1)
		}
	}
}

// wait waits for d. It returns false if ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// CommitSessionBoundary would mint a second receipt if it were applied twice. So when
// the outcome is unknown it looks for the receipt that it must have got. The sequence
// is known, since nobody else commits to the run. The store that answers was opened
// after the failure, so the first try cannot be applied any more.
func (p *patient) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (receipt store.RunBoundaryReceipt, err error) {
	sequence, err := p.next(ctx, id, commit.RunID)
	if err != nil {
		return receipt, err
	}
	err = p.persist(ctx, func(s store.RuntimeStore, doubt *error) error {
		if *doubt != nil {
			found, ok, err := s.LoadBoundaryReceipt(ctx, id, commit.RunID, sequence)
			if err != nil {
				return err
			}
			*doubt = nil
			if ok {
				p.outcomes.stored.Add(1)
				receipt = found
				return nil
			}
			p.outcomes.absent.Add(1)
		}
		var err error
		receipt, err = s.CommitSessionBoundary(ctx, id, commit)
		return err
	})
	if err == nil {
		p.runs.set(id, place{commit.RunID, receipt.Sequence + 1})
	}
	return receipt, err
}

// next returns the sequence that the next commit of a run must get. If it does not know
// the run, it counts the receipts.
func (p *patient) next(ctx context.Context, id store.RuntimeID, run store.RunID) (sequence uint64, err error) {
	if at, ok := p.runs.get(id); ok && at.run == run {
		return at.next, nil
	}
	for {
		_, ok, err := p.LoadBoundaryReceipt(ctx, id, run, sequence)
		if err != nil || !ok {
			return sequence, err
		}
		sequence++
	}
}

// A ledger has the next sequence of each runtime's latest run.
type ledger struct {
	mu     sync.Mutex
	places map[store.RuntimeID]place
}

type place struct {
	run  store.RunID
	next uint64 // sequence
}

func (l *ledger) get(id store.RuntimeID) (place, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.places[id]
	return at, ok
}

func (l *ledger) set(id store.RuntimeID, at place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.places == nil {
		l.places = map[store.RuntimeID]place{}
	}
	l.places[id] = at
}
