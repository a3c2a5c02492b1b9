package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func closing() []promise {
	return []promise{
		{"every call after Close gets ErrClosed", callsAfterClose},
		{"ErrClosed comes before what is wrong with the arguments", closedComesBeforeArguments},
		{"Close may be called again, and by several at once", closeAgain},
		{"a call at the time of Close is answered, or gets ErrClosed", closeUnderLoad},
		{"closing one store leaves another alone", closeOneOfTwo},
		{"no goroutine is left behind", nothingIsLeft},
	}
}

func callsAfterClose(tr *trial) {
	tr.fill("a")
	tr.close()
	for name, err := range tr.allWrites("a", tr.Context()) {
		assert.ErrorIs(tr, err, store.ErrClosed, name)
	}
	for name, err := range tr.allReads("a", tr.Context()) {
		assert.ErrorIs(tr, err, store.ErrClosed, name)
	}
}

func closedComesBeforeArguments(tr *trial) {
	tr.close()
	for name, err := range tr.allBadWrites("a", tr.Context()) {
		assert.ErrorIs(tr, err, store.ErrClosed, name)
	}
}

func closeAgain(tr *trial) {
	require.NoError(tr, together(callers, func(int) error { return closeStore(tr.store) }))
	require.NoError(tr, closeStore(tr.store))
}

// writeUntilClosed writes from several callers until the store is closed,
// which it is while they are at it. It returns what was acknowledged.
func (tr *trial) writeUntilClosed() (acknowledged int) {
	tr.Helper()
	const enough = 50
	var count atomic.Int64
	var closed atomic.Bool
	ctx, cancel := context.WithTimeout(tr.Context(), time.Minute)
	defer cancel()
	err := together(callers, func(caller int) error {
		for call := 0; ; call++ {
			state := store.NewInputState(store.InputID{byte(caller), byte(call), byte(call >> 8), byte(call >> 16)}, store.Time{})
			late := closed.Load()
			err := tr.store.PersistInputState(ctx, "a", state)
			switch {
			case ctx.Err() != nil:
				return errors.New("a call was left without an answer for a minute")
			case late && err == nil:
				return errors.New("a call that began after Close had returned was answered")
			case errors.Is(err, store.ErrClosed):
				return nil
			case err != nil:
				return err
			}
			if count.Add(1) == enough {
				if err := tr.once(); err != nil {
					return fmt.Errorf("at Close: %w", err)
				}
				closed.Store(true)
			}
		}
	})
	require.NoError(tr, err)
	return int(count.Load())
}

func closeUnderLoad(tr *trial) {
	for range 50 { // Close must meet a call at any of its steps
		tr.use(tr.factory.Open(tr.T))
		require.GreaterOrEqual(tr, tr.writeUntilClosed(), 50)
		require.ErrorIs(tr, tr.store.PersistInputState(tr.Context(), "a", accepted(1)), store.ErrClosed)
	}
}

func closeOneOfTwo(tr *trial) {
	tr.fill("a")
	before := tr.view("a")
	first := tr.store
	tr.use(tr.factory.Open(tr.T))
	tr.fill("a")
	tr.close()
	tr.store = first
	assert.Equal(tr, before, tr.view("a"))
	tr.persist("a", accepted(9))
}

// This is the last promise of the suite: it looks for the goroutines of all
// stores before, too.
func nothingIsLeft(tr *trial) {
	require.NoError(tr, together(callers, func(caller int) error {
		_, err := tr.atAnyMoment(caller, 25, func(ctx context.Context, call int) error {
			return tr.store.PersistInputState(ctx, "a", accepted(byte(call)))
		})
		return err
	}))
	tr.close()
	if err := findLeaks(tr.before); err != nil {
		tr.Errorf("the stores are closed, and left something behind: %v", err)
	}
}
