package eino_test

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cloudwego/eino/compose"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/adapt/eino"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/state"
)

var _ interface {
	compose.CheckPointStore
	Delete(ctx context.Context, id string) error
} = eino.CheckPoints{}

func newLoop(t *testing.T, opts loopstore.Options) *loopstore.Loop {
	loop := loopstore.New(opts)
	t.Cleanup(func() { assert.NoError(t, loop.Close()) })
	return loop
}

func TestCheckpoints(t *testing.T) {
	ctx, loop := t.Context(), newLoop(t, loopstore.Options{})
	c := eino.CheckPoints{Store: loop}
	other := eino.CheckPoints{Store: loop, Prefix: "other/"}
	for _, id := range []string{"", "1", "/", "é\x00", strings.Repeat("x", 1<<20)} {
		_, ok, err := c.Get(ctx, id)
		require.NoError(t, err)
		assert.False(t, ok)
		require.NoError(t, c.Delete(ctx, id), "there is nothing to delete")
		for _, text := range []string{"first", "", "\x00\xff", "the last"} {
			in := []byte(text)
			require.NoError(t, c.Set(ctx, id, in))
			copy(in, "XXXXX")
			got, ok, err := c.Get(ctx, id)
			require.NoError(t, err)
			assert.True(t, ok)
			assert.Equal(t, text, string(got))
			copy(got, "YYYYY")
			got, _, err = c.Get(ctx, id)
			require.NoError(t, err)
			assert.Equal(t, text, string(got), "it is a copy")
		}
		_, ok, err = other.Get(ctx, id)
		require.NoError(t, err)
		assert.False(t, ok, "another prefix is another store")
	}
	require.NoError(t, c.Delete(ctx, "1"))
	_, ok, err := c.Get(ctx, "1")
	require.NoError(t, err)
	assert.False(t, ok)
	view, err := loop.View(ctx, eino.DefaultPrefix)
	require.NoError(t, err)
	snapshot, _ := view.Snapshot()
	assert.Equal(t, store.FormatOpaque, snapshot.Format())
	n := 0
	for _, err := range loop.Runtimes(ctx, state.Listing{Prefix: eino.DefaultPrefix}) {
		require.NoError(t, err)
		n++
	}
	assert.Equal(t, 4, n)
}

func TestWhatTheStoreRefuses(t *testing.T) {
	ctx, loop := t.Context(), newLoop(t, loopstore.Options{Limits: store.Limits{SnapshotBytes: 10}})
	c := eino.CheckPoints{Store: loop}
	require.NoError(t, c.Set(ctx, "1", []byte("0123456789")))
	limit := new(store.LimitError)
	require.ErrorAs(t, c.Set(ctx, "1", []byte("0123456789a")), &limit)
	assert.EqualValues(t, 11, limit.Asked)
	got, _, err := c.Get(ctx, "1")
	require.NoError(t, err)
	assert.Equal(t, "0123456789", string(got), "what stood stands")

	require.ErrorIs(t, c.Set(ctx, "\xff", nil), store.ErrInvalidValue)
	require.ErrorIs(t, c.Delete(ctx, "\xff"), store.ErrInvalidValue)
	_, ok, err := c.Get(ctx, "\xff")
	require.NoError(t, err)
	assert.False(t, ok)
	require.NoError(t, loop.Close())
	_, _, err = c.Get(ctx, "1")
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorIs(t, c.Set(ctx, "1", nil), store.ErrClosed)
	require.ErrorIs(t, c.Delete(ctx, "1"), store.ErrClosed)
}

// TestLargeCheckpoints sets 100 MB, with -short 10, and an id that is longer than what a journal's key may have.
func TestLargeCheckpoints(t *testing.T) {
	size := 100_000_000
	if testing.Short() {
		size /= 10
	}
	large := bytes.Repeat([]byte("0123456789"), size/10)
	needsDisk(t)
	ctx, engine, long := t.Context(), disk.New(t.TempDir(), disk.Options{}), strings.Repeat("x", 1<<20)
	for n := range 2 {
		loop, err := loopstore.Open(ctx, engine, "p", loopstore.Options{})
		require.NoError(t, err)
		c := eino.CheckPoints{Store: loop}
		if n == 0 {
			require.NoError(t, c.Set(ctx, "1", []byte("small")))
			require.NoError(t, c.Set(ctx, "1", large))
			require.NoError(t, c.Set(ctx, long, []byte("small")))
		}
		got, ok, err := c.Get(ctx, "1")
		require.NoError(t, err)
		assert.True(t, ok && bytes.Equal(large, got))
		got, _, err = c.Get(ctx, long)
		require.NoError(t, err)
		assert.Equal(t, "small", string(got))
		require.NoError(t, loop.Close())
	}
}

// TestManySetOneCheckpoint: what stands is always one of those that were set, and at last one
// of the last.
func TestManySetOneCheckpoint(t *testing.T) {
	ctx, loop := t.Context(), newLoop(t, loopstore.Options{})
	c := eino.CheckPoints{Store: loop}
	whole := func(b []byte) bool { return len(b) == 100_000 && bytes.Count(b, b[:1]) == len(b) }
	var all sync.WaitGroup
	for writer := range 4 {
		all.Go(func() {
			for range 50 {
				assert.NoError(t, c.Set(ctx, "1", bytes.Repeat([]byte{byte(writer)}, 100_000)))
				got, ok, err := c.Get(ctx, "1")
				assert.NoError(t, err)
				assert.True(t, ok && whole(got))
			}
		})
	}
	all.Wait()
}

// TestThePastOfACheckpoint: earlier ones stay as long as the store keeps them, and go with it.
func TestThePastOfACheckpoint(t *testing.T) {
	ctx := t.Context()
	loop := newLoop(t, loopstore.Options{
		Retention: store.Retention{Sessions: store.Keep{Last: math.MaxInt}}, Tombstones: store.Keep{Last: math.MaxInt},
	})
	c := eino.CheckPoints{Store: loop}
	for _, text := range []string{"first", "second"} {
		require.NoError(t, c.Set(ctx, "1", []byte(text)))
	}
	past, ok, err := loop.LoadSessionAt(ctx, eino.DefaultPrefix+"1", 1)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "first", past.String())

	require.NoError(t, c.Delete(ctx, "1"))
	_, err = loop.Commit(ctx, batch.Batch{Then: []batch.Write{batch.PutRuntimeState{RuntimeID: eino.DefaultPrefix + "1", State: store.RuntimeIdle}}})
	require.ErrorIs(t, err, store.ErrDeleted, "it has a tombstone")
	require.NoError(t, c.Set(ctx, "1", []byte("third")))
	got, _, err := c.Get(ctx, "1")
	require.NoError(t, err)
	assert.Equal(t, "third", string(got))
	view, err := loop.View(ctx, eino.DefaultPrefix+"1")
	require.NoError(t, err)
	assert.Len(t, slices.Collect(view.Sessions()), 1, "those before it have gone")
}
