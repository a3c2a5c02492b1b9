package crew

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/demo"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// A reopening is a loop on a journal that fails, opened again when it has ended:
// what a cluster is for its callers.
type reopening struct {
	t      *testing.T
	engine *journaltest.Faulty
	mu     sync.Mutex
	loop   *loopstore.Loop
}

func newReopening(t *testing.T) *reopening {
	r := &reopening{t: t, engine: journaltest.NewFaulty(journaltest.NewEngine())}
	r.open()
	t.Cleanup(func() { _ = r.loop.Close() })
	return r
}

func (r *reopening) open() {
	loop, err := loopstore.Open(r.t.Context(), r.engine, "", loopstore.Options{})
	if err != nil {
		r.t.Error(err)
		return
	}
	r.loop = loop
}

// store returns the loop, another one if that has ended.
func (r *reopening) store() store.RuntimeStore {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, _, err := r.loop.LoadRuntimeState(r.t.Context(), "any"); err != nil {
		_ = r.loop.Close()
		r.open()
	}
	return r.loop
}

func (r *reopening) patient() *patient {
	return newPatient(r.store, new(ledger), new(outcomes))
}

// counts are outcomes in their order.
func (o *outcomes) counts() [5]int64 {
	return [5]int64{o.again.Load(), o.unknown.Load(), o.stored.Load(), o.absent.Load(), o.repeated.Load()}
}

func TestAPatientCommitIsStoredOnce(t *testing.T) {
	var (
		stored, lost = journaltest.Ambiguous(true), journaltest.Ambiguous(false)
		fenced       = journaltest.Fence()
	)
	for name, c := range map[string]struct {
		faults []journaltest.Fault
		counts [5]int64 // again, unknown, stored, absent, repeated
	}{
		"no fault":                 {nil, [5]int64{}},
		"stored, and denied":       {[]journaltest.Fault{stored}, [5]int64{1, 1, 1, 0, 0}},
		"not stored":               {[]journaltest.Fault{lost}, [5]int64{1, 1, 0, 1, 0}},
		"an error of another kind": {[]journaltest.Fault{journaltest.Unknown(true)}, [5]int64{1, 1, 1, 0, 0}},
		"fenced":                   {[]journaltest.Fault{fenced}, [5]int64{1, 0, 0, 0, 0}},
		"lost, then stored":        {[]journaltest.Fault{lost, fenced, lost, stored}, [5]int64{1, 3, 1, 2, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReopening(t)
				p, run := r.patient(), store.NewRunID()
				var talk store.SessionDelta
				for sequence := range uint64(3) {
					r.engine.Next(c.faults...)
					talk = grown(talk)
					receipt, err := p.CommitSessionBoundary(t.Context(), "agent", store.BoundaryCommit{
						Session: talk, RunID: run, Boundary: store.RunStart,
					})
					require.NoError(t, err)
					require.Equal(t, sequence, receipt.Sequence)
					require.Equal(t, sequence+1, receipt.MessageCount)
					_, more, err := p.LoadBoundaryReceipt(t.Context(), "agent", run, sequence+1)
					require.NoError(t, err)
					require.False(t, more, "it is there twice")
				}
				for i := range c.counts {
					c.counts[i] *= 3
				}
				require.Equal(t, c.counts, p.outcomes.counts())
			})
		})
	}
}

// A whole workload, whose journal fails in every way again and again, is what its
// callers were told.
func TestAPatientWorkloadIsWhatWasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReopening(t)
		appends := 0
		script := []journaltest.Fault{
			3: journaltest.Ambiguous(true), 8: journaltest.Fence(), 12: journaltest.Ambiguous(false), 16: {},
		}
		r.engine.Script(func(n int, _ journal.Batch) journaltest.Fault {
			appends = n
			return script[n%len(script)]
		})
		documents, err := demo.ReadDocuments(t.Context(), nil)
		require.NoError(t, err)
		p := r.patient()
		report := demo.RunOn(t.Context(), demo.Settings{Runtimes: 8, Turns: 20, Callers: 4, Documents: documents}, quiet{p}, io.Discard)
		require.True(t, report.OK, "%v%v", report.Errors, report.Failures)
		require.Equal(t, "receipts", report.Verified[0].Name)
		require.Equal(t, 8*20, report.Verified[0].Checked)
		require.Greater(t, appends, 500)
		n := p.outcomes.counts()
		require.Equal(t, n[1], n[2]+n[3]+n[4], "an outcome was left open: %v", n)
		for _, each := range n {
			require.Positive(t, each, "%v", n)
		}
	})
}

// A run that another caller has begun goes on behind its receipts.
func TestAPatientCountsTheReceiptsThatItDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReopening(t)
		run := store.NewRunID()
		commit := store.BoundaryCommit{Session: grown(store.SessionDelta{}), RunID: run, Boundary: store.RunStart}
		for range 3 {
			_, err := r.patient().CommitSessionBoundary(t.Context(), "agent", commit)
			require.NoError(t, err)
		}
		r.engine.Next(journaltest.Ambiguous(false))
		receipt, err := r.patient().CommitSessionBoundary(t.Context(), "agent", commit)
		require.NoError(t, err)
		require.EqualValues(t, 3, receipt.Sequence)
	})
}

// grown returns a conversation with a message more.
func grown(talk store.SessionDelta) store.SessionDelta {
	return store.SessionDelta{Format: store.FormatLines, SessionSnapshot: append(talk.SessionSnapshot, "{}\n"...)}
}

// On a quiet stage nothing happens but what the store does.
type quiet struct{ store store.RuntimeStore }

func (q quiet) Store(int) store.RuntimeStore           { return q.store }
func (quiet) Play(context.Context, func(string)) error { return nil }
func (quiet) Played() (demo.Act, error)                { return nil, nil }

// A scripted store fails as it is told, call by call, and then with the last error
// for ever.
type scripted struct {
	store.RuntimeStore
	errs  []error
	calls int
}

func (s *scripted) PersistRuntimeState(context.Context, store.RuntimeID, store.RuntimeState) error {
	err := s.errs[min(s.calls, len(s.errs)-1)]
	s.calls++
	return err
}

func TestPatienceEnds(t *testing.T) {
	gone, unknown := &store.OpError{Err: &cluster.NotHolderError{}}, &store.OpError{Err: fmt.Errorf("%w: timeout", store.ErrOutcomeUnknown)}
	for name, c := range map[string]struct {
		errs    []error
		want    error
		unknown bool
		once    bool
	}{
		"nobody serves it":            {[]error{gone}, cluster.ErrNotHolder, false, false},
		"the store is closed":         {[]error{&store.OpError{Err: store.ErrClosed}}, store.ErrClosed, false, false},
		"nobody knows":                {[]error{unknown}, store.ErrOutcomeUnknown, true, false},
		"nobody knows, then no one":   {[]error{unknown, gone}, cluster.ErrNotHolder, true, false},
		"it is not valid":             {[]error{store.ErrInvalidValue}, store.ErrInvalidValue, false, true},
		"a panic, which may be half":  {[]error{&store.OpError{Err: &store.PanicError{}}}, store.ErrFailed, false, true},
		"nobody knows, and not valid": {[]error{unknown, store.ErrInvalidValue}, store.ErrInvalidValue, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{errs: c.errs}
				p := newPatient(func() store.RuntimeStore { return s }, new(ledger), new(outcomes))
				err := p.PersistRuntimeState(t.Context(), "agent", store.RuntimeIdle)
				require.ErrorIs(t, err, c.want)
				require.Equal(t, c.unknown, errors.Is(err, store.ErrOutcomeUnknown), "%v", err)
				require.Equal(t, c.once, s.calls == 1)
				require.Less(t, s.calls, 1000, "it hammers at the store")
			})
		})
	}
}
