package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/postgres"
)

func TestADocumentIsReplacedOnlyByWhoHasSeenTheLast(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	name := strings.Repeat("a name\x00", 1000)
	d := postgres.NewDirectory(pool, opts, name)
	stands := func(want []byte) (revision uint64) {
		t.Helper()
		document, revision, err := postgres.NewDirectory(pool, opts, name).Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, document)
		return revision
	}
	write := func(document string, revision uint64, want bool) {
		t.Helper()
		ok, err := d.Write(t.Context(), []byte(document), revision)
		require.NoError(t, err)
		require.Equal(t, want, ok)
	}
	require.Zero(t, stands(nil))
	write("too early", 1, false)
	require.Zero(t, stands(nil))
	write("first", 0, true)
	write("another first", 0, false)
	first := stands([]byte("first"))
	write("", first, true)
	write("stale", first, false)
	second := stands([]byte{})
	require.Greater(t, second, first)
	write("too early", second+1, false)
	ok, err := postgres.NewDirectory(pool, opts, "b").Write(t.Context(), nil, 0)
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, second, stands([]byte{}))
}

// Of those who write at once one wins each revision, from the making of the
// tables on.
func TestWritersRace(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	const writers, rounds = 8, 20
	var mu sync.Mutex
	won := map[uint64]int{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			d := postgres.NewDirectory(pool, opts, "d")
			for {
				document, revision, err := d.Read(t.Context())
				if !assert.NoError(t, err) || len(document) == rounds {
					return
				}
				ok, err := d.Write(t.Context(), fmt.Append(document, w), revision)
				if !assert.NoError(t, err) {
					return
				}
				if ok {
					mu.Lock()
					won[revision]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, won, rounds)
	for revision, winners := range won {
		require.Equal(t, 1, winners, "revision %d", revision)
	}
}

func TestADirectorysErrors(t *testing.T) {
	opts := fresh()
	s := server(t)
	pool := poolAt(t, s.URL()+" default_query_exec_mode=cache_describe") // for poolers
	d := postgres.NewDirectory(pool, opts, "d")
	ok, err := d.Write(t.Context(), []byte("1"), 0)
	require.NoError(t, err)
	require.True(t, ok)
	behind(t, pool, opts, `drop table {}.document`)
	var typed *postgres.Error
	_, _, err = d.Read(t.Context())
	require.ErrorAs(t, err, &typed)
	require.Equal(t, "read", typed.Op)
	ok, err = d.Write(t.Context(), nil, 1)
	require.ErrorAs(t, err, &typed)
	require.Equal(t, "write", typed.Op)
	require.False(t, ok)
}
