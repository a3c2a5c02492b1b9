package journaltest

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/loopstore/loopstore/store/journal"
)

// Faulty is a [journal.Engine] that stands before another and fails as it is
// told, by the contract of package journal: after an error that ends an ownership
// every later Append fails with the same one, and stores nothing.
//
// It may be told from any goroutine at any time. Faults are of all partitions
// together, in the order of the calls.
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
	Opens, FailedOpens int // FailedOpens are among the Opens

	Appends int // of journals that were of use
	Stored  int // of these, what the engine behind has stored
	Failed  int // of these, what returned an error
	Late    int // Appends of journals that were of no use any more; a careful owner makes none

	Compacts, Closes int
	Open             int // journals that are open now
}

// NewFaulty returns an engine before inner that does as inner does, until it is
// told otherwise.
func NewFaulty(inner journal.Engine) *Faulty {
	return &Faulty{inner: inner, open: map[*faultyJournal]struct{}{}}
}

// Next says what happens to the next Appends, one each.
func (f *Faulty) Next(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = append(f.next, faults...)
}

// Script says what happens to each Append that Next says nothing of; n counts
// all Appends from 0. script is called on the goroutine that appends, one call
// at a time; it must not keep the batch, nor call f. nil takes it back.
func (f *Faulty) Script(script func(n int, b journal.Batch) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = script
}

// NextOpen says what happens to the next Opens, one each.
func (f *Faulty) NextOpen(faults ...OpenFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opens = append(f.opens, faults...)
}

// NextClose says what the next calls of Close return, one each. The journal is
// closed nevertheless. A nil error is none.
func (f *Faulty) NextClose(errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closes = append(f.closes, errs...)
}

// NextCompact says what the next calls of Compact return, one each. Where that
// is an error nothing is compacted, and the journal goes on.
func (f *Faulty) NextCompact(errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compacts = append(f.compacts, errs...)
}

// NoticeFence closes the channels that Fenced of all open journals has returned,
// and does nothing else: it is the hint, which may be late, or wrong.
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

// take takes the next of what was told.
func take[T any](told *[]T) (first T) {
	if len(*told) > 0 {
		first, *told = (*told)[0], (*told)[1:]
	}
	return first
}

// Open is that of [journal.Engine].
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

// errCut ends an emission that Open goes on after.
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
	if err == nil && fault.Err != nil { // there were not as many
		err = errors.Join(errCut, j.Close(ctx))
	}
	if errors.Is(err, errCut) {
		return nil, fault.Err
	}
	return j, err
}

// A faultyJournal is one ownership. Append is its owner's alone.
type faultyJournal struct {
	journal.Journal
	faulty *Faulty
	ended  error // of the owner's goroutine
	fenced chan struct{}
	notice sync.Once
}

// Append is that of [journal.Journal].
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

// fault counts an Append and returns what happens to it.
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

// Compact is that of [journal.Journal].
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

// Fenced is that of [journal.Journal]; only NoticeFence closes it.
func (j *faultyJournal) Fenced() <-chan struct{} { return j.fenced }

// Close is that of [journal.Journal].
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
