package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/faultproxy"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
)

// large returns changes that take several round trips, by their bytes and by
// their number, with what stands before and after them.
func large() (changes []journal.Change, before, after contents) {
	before, after = contents{}, contents{}
	for n := range 40_000 {
		key := fmt.Sprint("key ", n)
		switch {
		case n%3 == 0:
			before[key] = "old"
			changes = append(changes, journal.Change{Key: []byte(key), Delete: true})
		case n%1000 == 1:
			before[key], after[key] = "old", strings.Repeat("v", 1<<20)
			changes = append(changes, put(key, after[key]))
		default:
			after[key] = "new"
			changes = append(changes, put(key, "new"))
		}
	}
	return changes, before, after
}

func fill(t testing.TB, e journal.Engine, want contents) {
	t.Helper()
	j := open(t, e, "p", contents{})
	var changes []journal.Change
	for key, value := range want {
		changes = append(changes, put(key, value))
	}
	appendTo(t, j, changes...)
}

// same compares what may be too large to show.
func same(t testing.TB, want, got contents) {
	t.Helper()
	require.Len(t, got, len(want))
	for key, value := range want {
		require.True(t, value == got[key], key)
	}
}

// A batch that takes several round trips is stored whole, wherever connections
// are cut, and not at all by a holder that is fenced.
func TestALargeBatch(t *testing.T) {
	changes, before, after := large()
	s := server(t)
	var mu sync.Mutex
	var left []int // how many bytes from the client to pass on before each cut
	p := proxyTo(t, s.Addr())
	p.Cut(func(from faultproxy.Side, size int) int {
		mu.Lock()
		defer mu.Unlock()
		if from != faultproxy.Client || len(left) == 0 {
			return -1
		}
		if left[0] -= size; left[0] > 0 {
			return -1
		}
		left = left[1:]
		return 0
	})
	opts := fresh()
	e := postgres.New(through(t, s, p), opts)
	fill(t, e, before)
	first, got, err := load(t, e, "p")
	require.NoError(t, err)
	same(t, before, got)
	j, _, err := load(t, e, "p")
	require.NoError(t, err)
	_, err = first.Append(t.Context(), batchOf(changes...))
	require.ErrorIs(t, err, journal.ErrFenced)

	mu.Lock()
	left = []int{1 << 20, 9 << 20, 12 << 20}
	mu.Unlock()
	appendTo(t, j, changes...)
	mu.Lock()
	require.Empty(t, left)
	mu.Unlock()
	_, got, err = load(t, postgres.New(poolOf(t), opts), "p")
	require.NoError(t, err)
	same(t, after, got)
}

func TestTheLargestBatch(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a gigabyte or two")
	}
	opts := fresh()
	opts.Timeout = 2 * time.Minute
	e := postgres.New(poolOf(t), opts)
	j := open(t, e, "p", contents{})
	l := j.Limits()
	value := strings.Repeat("0123456789abcdef", l.ValueBytes/16)
	key := strings.Repeat("k", l.KeyBytes)
	want := contents{"a": value, key: value[:int(l.BatchBytes)-l.ValueBytes-l.KeyBytes-1]}
	appendTo(t, j, put("a", value), put(key, want[key]))
	_, got, err := load(t, e, "p")
	require.NoError(t, err)
	same(t, want, got)
}
