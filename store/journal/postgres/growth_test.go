package postgres_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// bulk is how large the records are on the disk, and how often the server has removed
// what was replaced.
func bulk(t testing.TB, pool *pgxpool.Pool, opts postgres.Options) (bytes, tidied int64) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), `select pg_total_relation_size(c.oid), s.autovacuum_count
		from pg_class c join pg_stat_all_tables s on s.relid = c.reltoastrelid where c.oid = $1::regclass`, in(opts, "{}.record")).Scan(&bytes, &tidied))
	return bytes, tidied
}

// Nobody needs to compact: the server removes what was replaced by itself, and new
// records take its room.
func TestReplacedRecordsMakeRoomForNewOnes(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for the server to tidy up")
	}
	s := postgrestest.Start(t, "fsync=off", "autovacuum_naptime=1s")
	pool, opts := poolAt(t, s.URL()), fresh()
	j := open(t, postgres.New(pool, opts), "p", contents{})
	commits := func(n int) {
		value := make([]byte, 10_000)
		for i := range n {
			_, _ = rand.Read(value)
			appendTo(t, j, put(fmt.Sprint(i%20), string(value)))
		}
	}
	commits(2000)
	_, before := bulk(t, pool, opts)
	require.Eventually(t, func() bool { // once more when nothing is added
		_, tidied := bulk(t, pool, opts)
		return tidied > before || tidied > 1
	}, time.Minute, 100*time.Millisecond)
	most, _ := bulk(t, pool, opts)
	commits(500)
	now, _ := bulk(t, pool, opts)
	require.LessOrEqual(t, now, most+most/10)
}
