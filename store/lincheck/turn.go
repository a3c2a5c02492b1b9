package lincheck

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// A plan says when the context of a call ends.
type plan struct {
	ends   bool
	after  int  // how often the goroutine that ends it yields first; negative: it ends before the call
	yield  bool // whether the caller yields before the call, so that this goroutine can start
	opens  int  // if not 0, an import that opens the gate before this number once it has read its file
	awaits int  // if not 0, the caller waits for the gate before this number
	idles  bool // a claim's, that ends when nobody can bring it anything any more
	looks  bool // whether the caller yields whenever the store looks at the context
}

// A yielding context lets other goroutines run in the middle of a call, so that calls
// overlap even on one processor.
type yielding struct{ context.Context }

func (c yielding) Done() <-chan struct{} {
	runtime.Gosched()
	return c.Context.Done()
}

func (c yielding) Err() error {
	runtime.Gosched()
	return c.Context.Err()
}

// A turn is one call of a program, with its plan and its result.
type turn struct {
	call *call
	plan plan

	reply            reply
	err              error
	underWay         bool  // its context was alive when it began
	tooLarge         bool  // it was refused with Config.TooLarge
	gaveUp           bool  // it returned the error of its context, which had ended
	called, returned int64 // moments of the recorder's clock
}

// GoString returns the call, for the programs that rapid prints.
func (t turn) GoString() string { return t.call.String() }

// perform makes the call.
func (t *turn) perform(ctx context.Context, to access) {
	t.underWay = ctx.Err() == nil
	given := ctx
	if t.plan.looks {
		given = yielding{ctx}
	}
	t.reply, t.err = t.call.perform(given, to)
	t.gaveUp = t.err != nil && ctx.Err() != nil && errors.Is(t.err, ctx.Err())
}

// judge returns the answer, or nil if the call gave up as planned, or was too large. Its error is a rule
// that the call broke, whatever the store holds.
func (t *turn) judge() (*answer, error) {
	a, unknown := answerOf(t.reply, t.err)
	switch {
	case t.gaveUp && t.plan.ends:
		return nil, nil
	case t.gaveUp:
		return nil, fmt.Errorf("%v gave up, but no cancellation was planned: the test's own context has ended (%w)", t.call, t.err)
	case !t.underWay && t.err == nil && t.call.by != byStore: // a reader may answer without asking the store
	case !t.underWay && t.err != nil:
		return nil, fmt.Errorf("%v returned an unexpected error: %w: its context had ended before the call, so only the context's error will do", t.call, t.err)
	case !t.underWay:
		return nil, fmt.Errorf("%v was answered with %v: its context had ended before the call, so only the context's error will do", t.call, &a)
	case t.tooLarge:
		return nil, nil
	case errors.Is(unknown, context.Canceled):
		return nil, fmt.Errorf("%v returned an unexpected error: %w: it had a living context", t.call, unknown)
	case unknown != nil:
		return nil, fmt.Errorf("%v returned an unexpected error: %w: it is none of %q, nor its context's", t.call, unknown, refusals)
	}
	return &a, nil
}

// stored calls found with each receipt that the call stored, or may have stored.
func (t *turn) stored(found func(store.RuntimeID, receipt)) {
	c := t.call
	switch {
	case c.kind == ops.KindAtomicApply && c.flaw == nil:
		found(c.runtime, c.receipt)
	case c.kind == ops.KindCommitSessionBoundary && t.err == nil:
		found(c.runtime, receiptOf(*t.reply.receipt))
	case c.kind == ops.KindImport:
		for id, s := range c.export.world.runtimes {
			for _, r := range s.runs {
				for _, one := range r.receipts {
					found(id, one)
				}
			}
		}
	case c.kind == ops.KindCommit:
		minted := t.reply.batch.Receipts
		for _, w := range c.batch.writes {
			if w.kind == ops.KindAtomicApply {
				found(w.runtime, w.receipt)
			} else if w.kind == ops.KindCommitSessionBoundary && len(minted) > 0 {
				found(w.runtime, receiptOf(minted[0]))
				minted = minted[1:]
			}
		}
	}
}

// limit is how long a call may take. Most take microseconds; it leaves time for disks and
// networks.
const limit = 30 * time.Second

func hanging(what any) error { return fmt.Errorf("%v hangs: it has not returned for %v", what, limit) }

// within runs f, and reports whether it returned within the limit. If f panics, so does
// within.
func within(f func()) bool {
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case thrown := <-done:
		if thrown != nil {
			panic(thrown)
		}
		return true
	case <-timer.C:
		return false
	}
}
