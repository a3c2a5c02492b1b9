package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store"
)

func closing() []promise {
	return []promise{
		{words: "every call after Close gets ErrClosed", try: needs[io.Closer](callsAfterClose)},
		{words: "ErrClosed comes before an error in the arguments", try: needs[io.Closer](closedComesBeforeArguments)},
		{words: "Close may be called again, and by several callers at once", try: needs[io.Closer](closeAgain)},
		{words: "a call during Close is answered, or gets ErrClosed", try: needs[io.Closer](closeUnderLoad)},
		{words: "closing one store leaves another alone", try: needs[io.Closer](closeOneOfTwo)},
		{words: "every operation may be cancelled at any moment", try: cancelledCalls},
		{words: "no goroutine is left behind", try: nothingIsLeft, noStore: true},
	}
}

func callsAfterClose(tr *trial) {
	tr.fill("a")
	tr.close()
	tr.allRefused(tr.allCalls("a", tr.Context()), store.ErrClosed, "after Close")
}

func closedComesBeforeArguments(tr *trial) {
	tr.close()
	tr.allRefused(tr.allBadWrites("a", tr.Context()), store.ErrClosed, "after Close, with arguments that are not valid")
}

// The store is closed as soon as any of the calls of Close returns.
func closeAgain(tr *trial) {
	require.NoError(tr, together(callers, func(int) error {
		if err := closeStore(tr.store); err != nil {
			return err
		}
		_, _, err := tr.store.LoadRuntimeState(tr.Context(), "a")
		return mistaken(err, store.ErrClosed)
	}))
	require.NoError(tr, closeStore(tr.store))
}

// workUntilClosed has several callers call every operation, each on a runtime of its
// own, while one of them closes the store. It returns what was acknowledged to each.
func (tr *trial) workUntilClosed() map[store.RuntimeID]marks {
	tr.Helper()
	const enough = 50
	acknowledged := map[store.RuntimeID]marks{}
	for caller := range callers {
		acknowledged[callersOwn(caller)] = marks{}
	}
	var count atomic.Int64
	var closed atomic.Bool
	err := together(callers, func(caller int) error {
		id := callersOwn(caller)
		for call := 0; ; call++ {
			late := closed.Load()
			err := tr.work(id, call, acknowledged[id])
			switch {
			case errors.Is(err, store.ErrClosed):
				return mistaken(err, store.ErrClosed)
			case err != nil:
				return err
			case late:
				return errors.New("a call that began after Close had returned was answered")
			}
			if count.Add(1) == enough {
				if err := tr.closers[len(tr.closers)-1](); err != nil {
					return fmt.Errorf("closing the store: %w", err)
				}
				closed.Store(true)
			}
		}
	})
	require.NoError(tr, err)
	return acknowledged
}

// callersOwn returns the runtime that only this caller uses.
func callersOwn(caller int) store.RuntimeID { return store.RuntimeID(fmt.Sprint(caller)) }

// work writes a mark, then checks the parts of the write.
func (tr *trial) work(id store.RuntimeID, call int, at marks) error {
	w, mark := writes()[call%len(writes())], uint32(call+1)
	if err := w.do(tr.Context(), tr.store, id, mark); err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	at.put(w, mark)
	return at.differ(tr.Context(), tr.store, id, w.parts)
}

func closeUnderLoad(tr *trial) {
	for range repeats(200) { // Close must come at any step of a call
		tr.open()
		tr.workUntilClosed()
		tr.refused("PersistInputState", tr.store.PersistInputState(tr.Context(), "a", accepted(1)), store.ErrClosed)
	}
}

func closeOneOfTwo(tr *trial) {
	tr.fill("a")
	before := tr.view("a")
	first := tr.store
	tr.open()
	tr.fill("a")
	tr.close()
	tr.store = first
	assert.Equal(tr, before, tr.view("a"))
	tr.persist("a", accepted(9))
}

// This is the last promise of the suite. By now every store is closed, so no
// goroutine of any of them may be left.
func nothingIsLeft(tr *trial) {
	if err := findLeaks(tr.before, goleak.IgnoreAnyFunction(watchdog)); err != nil {
		tr.Errorf("the stores are closed, and left something behind: %v", err)
	}
}

// cancelledCalls calls every operation with contexts that end during the call.
// There are many callers, so that some calls are cancelled while they wait. The next
// promise looks for what they leave behind.
func cancelledCalls(tr *trial) {
	tr.fill("a")
	loads := partsOf(writes())
	require.NoError(tr, together(4*callers, func(caller int) error {
		_, err := tr.atAnyMoment(caller, repeats(80), func(ctx context.Context, call int) error {
			if n := call / 2; call%2 == 0 {
				return writes()[n%len(writes())].do(ctx, tr.store, "a", uint32(n+1))
			}
			for i := range loads {
				if _, err := loads[(call+i)%len(loads)].load(ctx, tr.store, "a", math.MaxUint32); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	}))
}
