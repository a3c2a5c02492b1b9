package state

import (
	"maps"
	"math"
	"math/rand/v2"
	goruntime "runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A list does what a sorted map does, and its copies do not change.
func TestList(t *testing.T) {
	type frozen struct {
		list list[int]
		want []int
	}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		var l list[int]
		model := map[uint64]int{}
		inOrder := func() []int {
			values := make([]int, 0, len(model))
			for _, n := range slices.Sorted(maps.Keys(model)) {
				values = append(values, model[n])
			}
			return values
		}
		var copies []frozen
		next := uint64(0)
		for step := range 2500 {
			number := r.Uint64N(700)
			switch {
			case seed%3 == 0 && r.IntN(3) > 0: // most things happen at the end
				number, next = next, next+1
			case r.IntN(500) == 0:
				number = math.MaxUint64
			}
			if r.IntN(4) == 0 {
				l.remove(number)
				delete(model, number)
			} else {
				l.set(number, step)
				model[number] = step
			}
			got, ok := l.get(number)
			want, has := model[number]
			require.Equal(t, has, ok)
			require.Equal(t, want, got)
			require.Equal(t, len(model), l.len)
			if r.IntN(100) == 0 {
				require.Equal(t, inOrder(), slices.AppendSeq([]int{}, l.all()), "seed %d", seed)
				if r.IntN(2) == 0 {
					copies = append(copies, frozen{l.copy(), inOrder()})
				}
			}
		}
		for _, c := range copies {
			require.Equal(t, c.want, slices.AppendSeq([]int{}, c.list.all()), "seed %d", seed)
			require.Equal(t, len(c.want), c.list.len)
		}
		for number := range model {
			l.remove(number)
		}
		require.Empty(t, l.chunks, "no chunk is empty")
	}
}

// What is replaced or removed is not held, by the list or by what it shares.
func TestListHoldsOnlyWhatItShows(t *testing.T) {
	const n, size = 2000, 10 << 10
	var l list[[]byte]
	heap := func() uint64 {
		goruntime.GC()
		var m goruntime.MemStats
		goruntime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range uint64(n) {
		l.set(i*7919%n, make([]byte, size)) // in the middle, so that chunks are split
	}
	assert.Greater(t, heap()-before, uint64(n*size))
	for i := range uint64(n) {
		if i%2 == 0 {
			l.set(i, nil)
		} else {
			l.remove(i)
		}
	}
	kept := l.copy()
	assert.Less(t, int64(heap()-before), int64(n*size/20))
	goruntime.KeepAlive(kept)

	for i := range uint64(n) {
		if i%chunkSize != 0 {
			l.remove(i)
		}
	}
	assert.LessOrEqual(t, len(l.chunks), l.len/4, "few chunks hold what is left of many")
}

// A list goes on at any number, whether there is something or not.
func TestListFrom(t *testing.T) {
	var l list[uint64]
	for i := uint64(1); i < 1000; i += 3 {
		l.set(i, i)
	}
	for from := range uint64(1010) {
		want := (from + 1) / 3 * 3 // the first at from or after is one more
		for number, value := range l.from(from) {
			require.Equal(t, want+1, number)
			require.Equal(t, number, value)
			want += 3
			if want > from+300 {
				break
			}
		}
		if from <= 997 {
			require.Greater(t, want, from)
		}
	}
}
