package clustertest

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func absent(tr *trial) {
	h := tr.handle()
	h.absent()
	h.absent()
	require.False(tr, h.write("too early", 1), "a revision that never was")
	h.absent()
	require.True(tr, h.write("first", 0))
	tr.handle().stands("first")
}

func createdOnce(tr *trial) {
	const writers = 16
	var won atomic.Int64
	tr.atOnce(writers, func(n int, h handle) {
		if ok, err := h.Write(tr.ctx, fmt.Append(nil, n+1), 0); assert.NoError(tr, err) && ok {
			assert.True(tr, won.CompareAndSwap(0, int64(n+1)), "two have created it")
		}
	})
	require.NotZero(tr, won.Load(), "nobody has created it")
	tr.handle().stands(fmt.Sprint(won.Load()))
}

func replaced(tr *trial) {
	h, other := tr.handle(), tr.handle()
	one := h.put("one")
	two := other.put("two")
	require.NotEqual(tr, one, two)
	for _, revision := range []uint64{0, one, two + 1, two + 1000, math.MaxUint64} {
		require.False(tr, h.write("stale", revision), "revision %d, and %d stands", revision, two)
		h.stays("two", two)
	}
	require.True(tr, h.write("three", two))
	require.False(tr, other.write("two again", two))
	other.stands("three")
}

// The document is a counter that each winner raises: none is lost.
func raced(tr *trial) {
	const writers, rounds = 8, 10
	var mu sync.Mutex
	won := map[uint64]int{} // winners, by the revision that they replaced
	tr.atOnce(writers, func(n int, h handle) {
		for wins := 0; wins < rounds; {
			document, revision, err := h.Read(tr.ctx)
			if !assert.NoError(tr, err) {
				return
			}
			count, _ := strconv.Atoi(string(document)) // 0 if there is none yet
			ok, err := h.Write(tr.ctx, fmt.Append(nil, count+1), revision)
			if !assert.NoError(tr, err) {
				return
			}
			if ok {
				wins++
				mu.Lock()
				won[revision]++
				mu.Unlock()
			}
		}
	})
	for revision, winners := range won {
		assert.Equal(tr, 1, winners, "have replaced revision %d", revision)
	}
	tr.handle().stands(fmt.Sprint(writers * rounds))
}

// The bytes of a document do not make its revision, nor does its number of writes.
func revisions(tr *trial) {
	handles := []handle{tr.handle(), tr.handle()}
	seen := map[uint64]bool{0: true}
	for n := range 300 {
		revision := handles[n%2].put([]string{"even", "odd"}[n/2%2])
		require.False(tr, seen[revision], "revision %d was used before", revision)
		seen[revision] = true
	}
}

// fresh has some handles read while one writes, and remembers the latest document
// that anybody has had an answer about.
func fresh(tr *trial) {
	const writes = 150
	var known atomic.Int64
	know := func(n int64) {
		for k := known.Load(); k < n && !known.CompareAndSwap(k, n); k = known.Load() {
		}
	}
	var over atomic.Bool
	tr.atOnce(4, func(i int, h handle) {
		if i == 0 {
			defer over.Store(true)
			for n := int64(1); n <= writes; n++ {
				_, revision, err := h.Read(tr.ctx)
				if !assert.NoError(tr, err) {
					return
				}
				ok, err := h.Write(tr.ctx, fmt.Append(nil, n), revision)
				if !assert.NoError(tr, err) || !assert.True(tr, ok, "nobody else writes: Read gave an old revision") {
					return
				}
				know(n)
			}
			return
		}
		for !over.Load() {
			least := known.Load()
			document, _, err := h.Read(tr.ctx)
			if !assert.NoError(tr, err) {
				return
			}
			n, _ := strconv.ParseInt(string(document), 10, 64)
			if !assert.GreaterOrEqual(tr, n, least, "a read began when this write was known, and shows an earlier one") {
				return
			}
			know(n)
		}
	})
}

// atOnce calls do in n goroutines, each with a handle of its own.
func (tr *trial) atOnce(n int, do func(n int, h handle)) {
	tr.Helper()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		h := tr.handle()
		wg.Go(func() {
			<-start
			do(i, h)
		})
	}
	close(start)
	wg.Wait()
	if tr.Failed() {
		tr.FailNow()
	}
}
