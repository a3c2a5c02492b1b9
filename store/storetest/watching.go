package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func watching() []promise {
	return []promise{
		{words: "a watch yields when the version differs from the one that was passed", try: watchYieldsAnother},
		{words: "a watch yields an empty view when the runtime is deleted", try: needs[batch.Committer](watchSeesDeletion)},
		{words: "a change that comes while the caller holds a view is seen next", try: changesMeanwhileAreSeen},
		{words: "no watcher misses the last version, however many there are", try: lastIsNotMissed},
		{words: "a watcher that takes its time delays no writer", try: slowWatchersDelayNobody},
		{words: "a watch ends with the error of its context", try: watchEndsWithItsContext},
		{words: "a watch ends with ErrClosed at Close", try: needs[io.Closer](watchEndsAtClose)},
		{words: "a watch that has ended leaves no goroutine", try: watchLeavesNothing},
	}
}

// patient returns a context for what must come. It ends after a quarter of the time
// that the promise has.
func (tr *trial) patient() context.Context {
	ctx, cancel := context.WithTimeout(tr.Context(), tr.factory.Timeout/4)
	tr.Cleanup(cancel)
	return ctx
}

// watch calls body with each view that a watch yields, until body says that it has
// seen enough. It returns the error with which the watch ends before that.
func (tr *trial) watch(ctx context.Context, id store.RuntimeID, after uint64, body func(*state.View) (enough bool)) (err error) {
	version := after
	for v, failed := range tr.store.(state.Watcher).Watch(ctx, id, after) {
		switch {
		case err != nil:
			return errors.New("a watch went on after its error")
		case failed != nil:
			err = fmt.Errorf("a watch that had yielded version %d: %w", version, failed)
		case v.Version() == version:
			return fmt.Errorf("a watch yielded version %d, which its caller already had", version)
		default:
			if version = v.Version(); body(v) {
				return nil
			}
		}
	}
	if err == nil {
		err = errors.New("a watch ended without an error")
	}
	return err
}

// next returns the first view that a watch yields.
func (tr *trial) next(id store.RuntimeID, after uint64) (next *state.View) {
	tr.Helper()
	require.NoError(tr, tr.watch(tr.patient(), id, after, func(v *state.View) bool {
		next = v
		return true
	}))
	return next
}

// until returns the body of a watch that waits for a mark.
func until(mark uint32) func(*state.View) bool {
	return func(v *state.View) bool { return markOf(v) == mark }
}

func watchYieldsAnother(tr *trial) {
	tr.isEmpty(tr.next("a", 7), "a")
	tr.persist("a", attempted(1, 1))
	first := tr.next("a", 0)
	assert.Equal(tr, view{Inputs: []string{textOf(attempted(1, 1))}}, tr.shown(first))
	tr.persist("a", attempted(1, 2))
	second := tr.next("a", first.Version())
	assert.EqualValues(tr, 2, markOf(second))
	assert.EqualValues(tr, 2, markOf(tr.next("a", second.Version()+100)), "a version that never was")
	ctx := tr.patient()
	for mark := uint32(2); mark < 10; mark++ { // now it has to wait, most likely
		seen := tr.next("a", 0).Version()
		require.NoError(tr, together(2, func(caller int) error {
			if caller == 0 {
				return tr.watch(ctx, "a", seen, until(mark+1))
			}
			for range mark {
				runtime.Gosched()
			}
			return tr.store.PersistInputState(ctx, "a", attempted(1, mark+1))
		}))
	}
}

func watchSeesDeletion(tr *trial) {
	tr.persist("a", attempted(1, 1))
	var seen []uint32
	require.NoError(tr, tr.watch(tr.patient(), "a", 0, func(v *state.View) bool {
		seen = append(seen, markOf(v))
		switch len(seen) {
		case 1:
			tr.write(deleting("a"))
		case 2:
			tr.isEmpty(v, "a")
			tr.persist("a", attempted(1, 2))
		}
		return len(seen) == 3
	}))
	assert.Equal(tr, []uint32{1, 0, 2}, seen, "the marks of a runtime that was deleted and made again")
}

func changesMeanwhileAreSeen(tr *trial) {
	tr.persist("a", attempted(1, 1))
	var seen []uint32
	require.NoError(tr, tr.watch(tr.patient(), "a", 0, func(v *state.View) bool {
		mark := markOf(v)
		seen = append(seen, mark)
		tr.persist("a", attempted(1, mark+1), attempted(1, mark+2))
		return len(seen) == 5
	}))
	assert.Equal(tr, []uint32{1, 3, 5, 7, 9}, seen, "the newest mark each time")
}

func lastIsNotMissed(tr *trial) {
	last, ctx := uint32(repeats(400)), tr.patient()
	require.NoError(tr, together(40, func(caller int) error {
		if caller == 0 {
			for mark := uint32(1); mark <= last; mark++ {
				if err := tr.store.PersistInputState(ctx, "a", attempted(1, mark)); err != nil {
					return err
				}
				for range mark % 4 {
					runtime.Gosched()
				}
			}
			return nil
		}
		version, back := uint64(0), false
		err := tr.watch(ctx, "a", 0, func(v *state.View) bool {
			version, back = v.Version(), back || v.Version() < version
			for range caller % 4 * 20 { // some take their time
				runtime.Gosched()
			}
			return markOf(v) == last
		})
		if back {
			return errors.New("a watch yielded an older version after a newer one")
		}
		return err
	}))
}

func slowWatchersDelayNobody(tr *trial) {
	const last = 1000
	ctx := tr.patient()
	tr.persist("a", attempted(1, 1))
	looking, written := make(chan struct{}), make(chan struct{})
	require.NoError(tr, together(2, func(caller int) error {
		if caller == 0 {
			first := true
			return tr.watch(ctx, "a", 0, func(v *state.View) bool {
				if first {
					first = false
					close(looking)
					select {
					case <-written:
					case <-ctx.Done():
					}
				}
				return markOf(v) == last
			})
		}
		defer close(written)
		select {
		case <-looking:
		case <-ctx.Done():
		}
		for mark := uint32(2); mark <= last; mark++ {
			if err := tr.store.PersistInputState(ctx, "a", attempted(1, mark)); err != nil {
				return fmt.Errorf("a write while a watcher takes its time: %w", err)
			}
		}
		return nil
	}))
}

// watchers has several callers watch a runtime that exists and one that does not,
// until end makes their watches end. It returns an error if a watch does not end with
// want.
func (tr *trial) watchers(ctx context.Context, end func() error, want error) error {
	tr.persist("a", attempted(1, 1))
	return together(callers, func(caller int) error {
		if caller == 0 {
			for range 30 { // others begin to wait
				runtime.Gosched()
			}
			return end()
		}
		id := []store.RuntimeID{"a", "b"}[caller%2]
		return mistaken(tr.watch(ctx, id, 0, func(*state.View) bool {
			for range caller {
				runtime.Gosched()
			}
			return false
		}), want)
	})
}

func watchEndsWithItsContext(tr *trial) {
	for range repeats(20) {
		ctx, cancel := context.WithCancel(tr.Context())
		defer cancel()
		require.NoError(tr, tr.watchers(ctx, func() error { cancel(); return nil }, context.Canceled))
	}
	for _, e := range tr.ended() {
		err := tr.watch(e.ctx, "a", 0, func(*state.View) bool { return false })
		tr.refused("a watch under a context that has ended", err, e.err)
	}
	version := tr.next("a", 0).Version()
	tr.persist("a", attempted(1, 2))
	assert.EqualValues(tr, 2, markOf(tr.next("a", version)), "another watch goes on")
}

func watchEndsAtClose(tr *trial) {
	for range repeats(20) {
		tr.open()
		require.NoError(tr, tr.watchers(tr.Context(), tr.closers[len(tr.closers)-1], store.ErrClosed))
		err := tr.watch(tr.Context(), "a", 0, func(*state.View) bool { return false })
		tr.refused("a watch that begins after Close", err, store.ErrClosed)
	}
}

func watchLeavesNothing(tr *trial) {
	before := goleak.IgnoreCurrent()
	for range 5 {
		ctx, cancel := context.WithCancel(tr.Context())
		defer cancel()
		require.NoError(tr, tr.watchers(ctx, func() error { cancel(); return nil }, context.Canceled))
		tr.next("a", 0)
	}
	if has[io.Closer](tr) { // until then a store may keep goroutines of its own
		tr.close()
		if err := findLeaks(before); err != nil {
			tr.Errorf("the watches have ended, and left something behind: %v", err)
		}
	}
}
