package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/postgres"
)

func TestADocumentIsReplacedOnlyByWhoHasSeenTheLast(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	name := strings.Repeat("a name\x00", 1000)
	d := postgres.NewDirectory(pool, opts, name)
	stands := func(want []byte, revision uint64) {
		t.Helper()
		document, got, err := postgres.NewDirectory(pool, opts, name).Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, revision, got)
		require.Equal(t, want, document)
	}
	write := func(document string, revision uint64, want bool) {
		t.Helper()
		ok, err := d.Write(t.Context(), []byte(document), revision)
		require.NoError(t, err)
		require.Equal(t, want, ok)
	}
	stands(nil, 0)
	write("too early", 1, false)
	stands(nil, 0)
	write("first", 0, true)
	write("another first", 0, false)
	stands([]byte("first"), 1)
	write("", 1, true)
	write("stale", 1, false)
	write("too early", 3, false)
	stands([]byte{}, 2)
	ok, err := postgres.NewDirectory(pool, opts, "b").Write(t.Context(), nil, 0)
	require.True(t, ok)
	require.NoError(t, err)
	stands([]byte{}, 2)
}

// Of those who write at once one wins each revision, from the making of the
// tables on.
func TestWritersRace(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	const writers, rounds = 8, 20
	var won [rounds]atomic.Int32
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			d := postgres.NewDirectory(pool, opts, "d")
			for {
				_, revision, err := d.Read(t.Context())
				if !assert.NoError(t, err) || revision == rounds {
					return
				}
				ok, err := d.Write(t.Context(), fmt.Append(nil, w), revision)
				if !assert.NoError(t, err) {
					return
				}
				if ok {
					won[revision].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for revision := range won {
		require.EqualValues(t, 1, won[revision].Load(), "revision %d", revision)
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
