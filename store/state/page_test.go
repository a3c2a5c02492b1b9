package state_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// Whoever pages through the runtimes while they come and go sees each that is
// there throughout, once, in order.
func TestRuntimePages(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 8))
		var s state.State
		name := func(i int) store.RuntimeID { return store.RuntimeID(fmt.Sprint(i)) }
		made := r.IntN(300)
		for i := range made {
			s.PutRuntimeState(name(i), store.RuntimeIdle)
		}
		throughout := map[store.RuntimeID]bool{}
		for i := range made {
			throughout[name(i)] = true
		}
		var seen []store.RuntimeID
		page := state.Page[state.RuntimeSummary]{More: true}
		for page.More {
			page = s.Runtimes(state.Listing{Paging: state.Paging{From: page.Next, Limit: 1 + r.IntN(20)}})
			for _, summary := range page.Items {
				seen = append(seen, summary.RuntimeID)
			}
			for range r.IntN(10) {
				id := name(r.IntN(made + 1))
				delete(throughout, id)
				s.DeleteRuntime(id)
				if r.IntN(2) == 0 {
					s.PutRuntimeState(id, store.RuntimeIdle) // at the end now
				}
			}
			if r.IntN(5) == 0 {
				s.Settle()
				s.Image()
			}
		}
		once := slices.DeleteFunc(slices.Clone(seen), func(id store.RuntimeID) bool { return !throughout[id] })
		require.Len(t, once, len(throughout), "seed %d", seed)
		numbers := func(id store.RuntimeID) (n int) {
			_, err := fmt.Sscan(string(id), &n)
			require.NoError(t, err)
			return n
		}
		require.True(t, slices.IsSortedFunc(once, func(a, b store.RuntimeID) int { return numbers(a) - numbers(b) }), "seed %d", seed)
	}
}

func TestPageLimits(t *testing.T) {
	var s state.State
	assert.Equal(t, state.Page[state.RuntimeSummary]{}, s.Runtimes(state.Listing{}))
	for i := range state.MaxPage + 1 {
		s.PutRuntimeState(store.RuntimeID(fmt.Sprint(i)), store.RuntimeIdle)
	}
	for _, limit := range []int{0, -1, state.MaxPage, math.MaxInt} {
		page := s.Runtimes(state.Listing{Paging: state.Paging{Limit: limit}})
		assert.Len(t, page.Items, state.MaxPage)
		assert.True(t, page.More)
		rest := s.Runtimes(state.Listing{Paging: state.Paging{From: page.Next}})
		assert.Len(t, rest.Items, 1)
		assert.False(t, rest.More)
		none := s.Runtimes(state.Listing{Paging: state.Paging{From: rest.Next}})
		assert.Empty(t, none.Items)
		assert.False(t, none.More)
		assert.Equal(t, rest.Next, none.Next, "whoever asks again later goes on there")
	}
	assert.False(t, s.Runtimes(state.Listing{Paging: state.Paging{Limit: 1, From: s.Runtimes(state.Listing{Paging: state.Paging{Limit: state.MaxPage}}).Next}}).More, "it just fits")
}

func TestSummary(t *testing.T) {
	s := lived()
	s.PutSnapshot("a", new(store.SnapshotOf([]byte("12345"))), nil)
	s.PutRuntimeState("a", store.RuntimeRunning)
	s.Settle()
	summary := s.Runtimes(state.Listing{}).Items[0]
	assert.Equal(t, s.View("a").Summary(), summary)
	assert.Equal(t, store.RuntimeID("a"), summary.RuntimeID)
	assert.EqualValues(t, 2, summary.Version)
	assert.Equal(t, store.RuntimeRunning, summary.RuntimeState)
	assert.Equal(t, 4, summary.Ended)
	assert.Equal(t, s.Totals(), summary.Held)
	assert.Equal(t, store.Totals{
		Runtimes: 1, InputStates: 8, Runs: 3, Receipts: 9, Snapshots: 1,
		RuntimeBytes: 1201, InputBytes: 8 * (400 + 6), ReceiptBytes: 3*160 + 9*(160+64+2*16), SnapshotBytes: 320 + 170 + 5,
	}, summary.Held)
	latest, ok := summary.LatestReceipt()
	assert.True(t, ok)
	assert.Equal(t, store.RunID{2}, latest.RunID)
	_, ok = new(state.RuntimeSummary).LatestReceipt()
	assert.False(t, ok)
}

func TestInputPages(t *testing.T) {
	s := lived()
	s.DeleteInputState("a", store.InputID{3})
	s.Settle()
	ids := func(limit int, states ...store.InputLifecycleState) (ids []byte) {
		page := state.Page[state.Input]{More: true}
		for page.More {
			page = s.View("a").InputPage(state.Paging{From: page.Next, Limit: limit}, states...)
			for _, in := range page.Items {
				ids = append(ids, in.State.InputID[0])
			}
		}
		return ids
	}
	for limit := range 10 {
		assert.Equal(t, []byte{0, 1, 2, 4, 5, 6, 7}, ids(limit))
		assert.Equal(t, []byte{0, 2, 4, 6}, ids(limit, store.InputQueued))
		assert.Equal(t, []byte{1, 5, 7}, ids(limit, store.InputConsumed))
		assert.Equal(t, []byte{1, 5, 7}, ids(limit, store.InputConsumed, store.InputStaged))
		assert.Empty(t, ids(limit, store.InputStaged))
	}
	assert.Equal(t, map[store.InputLifecycleState]int{store.InputQueued: 4, store.InputConsumed: 3}, s.View("a").CountInputStates())
	assert.Empty(t, s.View("none").CountInputStates())
	spanned := 0
	for span := range s.View("a").InputSpans() {
		in := s.View("a").InputPage(state.Paging{From: span.Place, Limit: 1}).Items[0].State
		assert.Equal(t, state.InputSpan{in.InputID, in.CurrentState, in.CreatedAt, in.UpdatedAt, span.Place}, span)
		assert.Equal(t, []byte{0, 1, 2, 4, 5, 6, 7}[spanned], span.InputID[0])
		if spanned++; spanned == 6 {
			break
		}
	}
	assert.Equal(t, 6, spanned)
	page := s.View("a").InputPage(state.Paging{Limit: 1})
	page.Items[0].State.PersistedInput[0] = 'x'
	assert.Equal(t, byte('"'), s.InputState("a", store.InputID{0}).PersistedInput[0], "what is given out is a copy")
	assert.Empty(t, s.View("none").InputPage(state.Paging{}).Items)
}

func TestReceiptPages(t *testing.T) {
	s := lived()
	s.PutReceipt("a", state.NewReceipt(&store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: math.MaxUint64}))
	s.Prune("a", store.Retention{Runs: 2}, at(0)) // run 0
	s.Settle()
	list := func(limit int, runs ...store.RunID) (list []string) {
		page := state.Page[store.RunBoundaryReceipt]{More: true}
		for page.More {
			page = s.View("a").ReceiptPage(state.Paging{From: page.Next, Limit: limit}, runs...)
			for _, receipt := range page.Items {
				list = append(list, fmt.Sprint(receipt.RunID[0], " ", receipt.Sequence))
			}
		}
		return list
	}
	one := []string{"1 0", "1 1", "1 2", "1 18446744073709551615"}
	two := []string{"2 0", "2 1", "2 2"}
	for limit := range 10 {
		assert.Equal(t, append(slices.Clone(one), two...), list(limit))
		assert.Equal(t, one, list(limit, store.RunID{1}))
		assert.Equal(t, two, list(limit, store.RunID{2}))
		assert.Equal(t, append(slices.Clone(one), two...), list(limit, store.RunID{2}, store.RunID{1}, store.RunID{9}))
		assert.Empty(t, list(limit, store.RunID{0}))
	}
	assert.Empty(t, s.View("none").ReceiptPage(state.Paging{}).Items)
}

func TestCursorText(t *testing.T) {
	s := lived()
	c := s.View("a").ReceiptPage(state.Paging{Limit: 5}).Next
	text, err := c.MarshalText()
	require.NoError(t, err)
	var read state.Cursor
	require.NoError(t, read.UnmarshalText(text))
	assert.Equal(t, c, read)
	for _, bad := range []string{"x", "1", "1.", ".1", "1.2.3", " 1.2", "1.2 ", "01.2", "+1.2", "1.18446744073709551616", "-1.2"} {
		require.ErrorIs(t, read.UnmarshalText([]byte(bad)), store.ErrInvalidValue, bad)
		assert.Equal(t, c, read)
	}
	require.NoError(t, read.UnmarshalText(nil))
	assert.Zero(t, read)
}

// An adopted State goes on where it was.
func TestAdopt(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 9))
		var s, adopting state.State
		for range r.IntN(40) {
			change(&s, r)
			s.Settle()
			if r.IntN(9) == 0 {
				s.Image()
			}
		}
		if r.IntN(2) == 0 {
			adopting.Image()
		}
		absent := adopting.View("a")
		want := all(&s)
		require.NoError(t, adopting.Adopt(&s))
		require.True(t, absent.Current(), "not yet settled")
		adopting.Settle().Wake()
		require.False(t, absent.Current())
		require.Zero(t, s.Totals())
		require.Equal(t, want, all(&adopting))
		image := adopting.Image()
		pictures := pictured(image)
		for range 10 {
			change(&adopting, r)
			adopting.Settle()
		}
		require.Equal(t, pictures, pictured(image))
		require.ErrorIs(t, adopting.Adopt(new(state.State)), store.ErrNotEmpty)
	}
	var limited state.State
	limited.Limits.AllInputsPerRuntime = 7
	assert.ErrorIs(t, limited.Adopt(lived()), store.ErrLimit)
	limited.Limits = store.Limits{TotalBytes: 1000}
	assert.ErrorIs(t, limited.Adopt(lived()), store.ErrLimit)
	assert.Zero(t, limited.Totals())
	limited.Limits = store.Limits{AllInputsPerRuntime: 8, TotalBytes: 100_000}
	assert.NoError(t, limited.Adopt(lived()))
}

func TestPartsAddUp(t *testing.T) {
	s := lived()
	s.PutSnapshot("a", new(store.SnapshotOf([]byte("12345"))), nil)
	s.PutSession("a", store.SessionID{1}, new(store.SnapshotOf([]byte("1"))))
	var bytes int64
	items := map[string]int{}
	for _, part := range s.Totals().Parts() {
		bytes += part.Bytes
		items[part.Name] = part.Items
	}
	assert.Equal(t, s.Totals().Bytes(), bytes)
	assert.Equal(t, map[string]int{"runtimes": 1, "input_states": 8, "receipts": 9, "snapshots": 2}, items)
}
