package journaltest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// Faulty is a [journal.Engine] that wraps another and fails as it is told. It keeps
// the contract of package journal: after an error that finishes a journal, every
// later Append fails with the same error, and stores nothing.
//
// It is safe for concurrent use. All partitions share the faults, which happen in
// the order of the calls.
type Faulty struct {
	inner journal.Engine

	mu       sync.Mutex
	next     []Fault
	script   func(n int, b journal.Batch) Fault
	opens    []OpenFault
	closes   []error
	compacts []error
	counts   Counts
	open     map[*faultyJournal]struct{}
}

// Counts are what a [Faulty] has seen.
type Counts struct {
	Opens, FailedOpens int // Opens counts the failed ones too

	Appends int // to journals that were not finished
	Stored  int // of these, how many the inner engine has stored
	Failed  int // of these, how many returned an error
	Late    int // Appends to finished journals; a careful caller makes none

	Compacts, Closes int
	Open             int // journals that are open now
}

// NewFaulty returns an engine that does as inner does, until it is told otherwise.
func NewFaulty(inner journal.Engine) *Faulty {
	return &Faulty{inner: inner, open: map[*faultyJournal]struct{}{}}
}

// Next sets what happens to the next Appends, one fault each.
func (f *Faulty) Next(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = append(f.next, faults...)
}

// Script sets what happens to each Append for which Next has set nothing; n
// counts all Appends from 0. script is called on the goroutine that appends, one
// call at a time. It must neither keep the batch nor call f. nil removes it.
func (f *Faulty) Script(script func(n int, b journal.Batch) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = script
}

// NextOpen sets what happens to the next Opens, one fault each.
func (f *Faulty) NextOpen(faults ...OpenFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opens = append(f.opens, faults...)
}

// NextClose sets what the next calls of Close return, one error each; nil is no
// error. The journal is closed all the same.
func (f *Faulty) NextClose(errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closes = append(f.closes, errs...)
}

// NextCompact sets what the next calls of Compact return, one error each. After an
// error nothing is compacted, and the journal goes on.
func (f *Faulty) NextCompact(errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compacts = append(f.compacts, errs...)
}

// NoticeFence closes the Fenced channels of all open journals, and does nothing
// else: it gives the hint, which may be late, or wrong.
func (f *Faulty) NoticeFence() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for j := range f.open {
		j.notice.Do(func() { close(j.fenced) })
	}
}

// Counts returns what f has seen so far.
func (f *Faulty) Counts() Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.counts
	c.Open = len(f.open)
	return c
}

// take removes and returns the first of what was told, the zero value if none.
func take[T any](told *[]T) (first T) {
	if len(*told) > 0 {
		first, *told = (*told)[0], (*told)[1:]
	}
	return first
}

// Open implements [journal.Engine].
func (f *Faulty) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	f.mu.Lock()
	f.counts.Opens++
	fault := take(&f.opens)
	f.mu.Unlock()
	if fault.Before != nil {
		fault.Before(ctx)
	}
	inner, err := f.openInner(ctx, fault, partition, emit)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.counts.FailedOpens++
		return nil, err
	}
	j := &faultyJournal{Journal: inner, faulty: f, fenced: make(chan struct{})}
	f.open[j] = struct{}{}
	return j, nil
}

// errCut ends the inner Open when an OpenFault cuts it short.
var errCut = errors.New("journaltest: cut short")

func (f *Faulty) openInner(ctx context.Context, fault OpenFault, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	if fault.Err != nil && !fault.Cut {
		return nil, fault.Err
	}
	emitted := 0
	j, err := f.inner.Open(ctx, partition, func(c journal.Change) error {
		if fault.Cut && emitted >= fault.After {
			if fault.Err != nil {
				return errCut
			}
			return nil // lost
		}
		emitted++
		return emit(c)
	})
	if err == nil && fault.Err != nil { // there were fewer keys than fault.After
		err = errors.Join(errCut, j.Close(ctx))
	}
	if errors.Is(err, errCut) {
		return nil, fault.Err
	}
	return j, err
}

// A faultyJournal is an open partition.
type faultyJournal struct {
	journal.Journal
	faulty *Faulty
	ended  error // why it is finished; only the goroutine that appends reads it
	fenced chan struct{}
	notice sync.Once
}

// Append implements [journal.Journal].
func (j *faultyJournal) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	if j.ended != nil {
		j.count(func(c *Counts) { c.Late++ })
		return journal.Position{}, j.ended
	}
	fault := j.faulty.fault(b)
	if fault.Before != nil {
		fault.Before(ctx)
	}
	at, stored, err := j.append(ctx, b, fault)
	if fault.After != nil {
		fault.After(ctx)
	}
	j.count(func(c *Counts) {
		if stored {
			c.Stored++
		}
		if err != nil {
			c.Failed++
		}
	})
	if err != nil && !errors.Is(err, journal.ErrRejected) {
		j.ended = err
	}
	return at, err
}

func (j *faultyJournal) append(ctx context.Context, b journal.Batch, fault Fault) (at journal.Position, stored bool, err error) {
	if fault.Err == nil || fault.Stored {
		at, err = j.Journal.Append(ctx, b)
		stored = err == nil
	}
	if fault.Err != nil {
		return journal.Position{}, stored, fault.Err
	}
	return at, stored, err
}

// fault counts an Append, and returns what happens to it.
func (f *Faulty) fault(b journal.Batch) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.counts.Appends
	f.counts.Appends++
	if len(f.next) == 0 && f.script != nil {
		return f.script(n, b)
	}
	return take(&f.next)
}

func (j *faultyJournal) count(add func(*Counts)) {
	j.faulty.mu.Lock()
	defer j.faulty.mu.Unlock()
	add(&j.faulty.counts)
}

// Compact implements [journal.Journal].
func (j *faultyJournal) Compact(ctx context.Context, live iter.Seq[journal.Change]) error {
	var told error
	j.count(func(c *Counts) {
		c.Compacts++
		told = take(&j.faulty.compacts)
	})
	if j.ended != nil {
		return j.ended
	}
	if told != nil {
		return told
	}
	return j.Journal.Compact(ctx, live)
}

// Fenced implements [journal.Journal]; only NoticeFence closes the channel.
func (j *faultyJournal) Fenced() <-chan struct{} { return j.fenced }

// Close implements [journal.Journal].
func (j *faultyJournal) Close(ctx context.Context) error {
	var told error
	j.count(func(c *Counts) {
		c.Closes++
		told = take(&j.faulty.closes)
		delete(j.faulty.open, j)
	})
	if j.ended == nil {
		j.ended = ErrClosed
	}
	return errors.Join(told, j.Journal.Close(ctx))
}

// ErrUnknown is an error that package journal does not know, so that it counts
// as ErrAmbiguous.
var ErrUnknown = errors.New("journaltest: an error of another kind")

// A Fault is what happens to one Append of a [Faulty] engine. The zero value is no
// fault: the batch goes to the inner engine, and the caller gets its answer.
type Fault struct {
	// Before is called first, and After last, on the goroutine that called
	// Append. Both may wait: latency is a Before that sleeps.
	Before, After func(context.Context)

	// Err is what Append returns. It finishes the journal, unless it is
	// journal.ErrRejected. If Err is nil, the inner engine answers.
	Err error

	// Stored says that the batch goes to the inner engine, although Append
	// returns Err.
	Stored bool
}

// Reject refuses the batch. The journal goes on.
func Reject() Fault { return Fault{Err: journal.ErrRejected} }

// Fence answers that another holder has the partition. There need not be one. A
// test that opens the partition a second time needs no Fence.
func Fence() Fault { return Fault{Err: journal.ErrFenced} }

// Ambiguous answers that whether the batch was stored is unknown. stored decides
// whether it is.
func Ambiguous(stored bool) Fault { return Fault{Err: journal.ErrAmbiguous, Stored: stored} }

// Unknown is like Ambiguous, but with an error that package journal does not know.
func Unknown(stored bool) Fault { return Fault{Err: ErrUnknown, Stored: stored} }

// Late hands the batch to the inner engine after d, or when ctx ends if that
// comes first.
func Late(d time.Duration) Fault {
	return Fault{Before: func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}}
}

// Held hands the batch to the inner engine when release is closed, or when ctx
// ends if that comes first.
func Held(release <-chan struct{}) Fault {
	return Fault{Before: func(ctx context.Context) {
		select {
		case <-release:
		case <-ctx.Done():
		}
	}}
}

// Then returns the fault with a further wait: before is called first of all.
func (f Fault) Then(before func(context.Context)) Fault {
	first := f.Before
	f.Before = func(ctx context.Context) {
		before(ctx)
		if first != nil {
			first(ctx)
		}
	}
	return f
}

// An OpenFault is what happens to one Open. The zero value is no fault.
type OpenFault struct {
	// Before is called first. It may wait.
	Before func(context.Context)

	// Err is what Open returns: without a call of emit, unless Cut is set. Nothing
	// is held open then.
	Err error

	// Cut says that only the first After keys are emitted. Then Open returns
	// Err or, if that is nil, goes on as if these were all.
	Cut   bool
	After int
}

// FailOpen makes Open fail with err at once.
func FailOpen(err error) OpenFault { return OpenFault{Err: err} }

// Corrupt makes Open fail with journal.ErrCorrupt after so many keys.
func Corrupt(after int) OpenFault {
	return OpenFault{Err: fmt.Errorf("%w: as told", journal.ErrCorrupt), Cut: true, After: after}
}

// CutShort makes Open lose all but so many keys, unnoticed.
func CutShort(after int) OpenFault { return OpenFault{Cut: true, After: after} }
