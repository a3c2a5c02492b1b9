package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
)

// A server that has no room refuses what needs some, at once and for certain. The
// journal goes on: it opens, reads and deletes, and stores again when there is room.
func TestAFullDiskRejectsAndTheJournalGoesOn(t *testing.T) {
	pool, opts := poolOf(t), fresh()
	e := postgres.New(pool, opts)
	j := open(t, e, "p", contents{})
	appendTo(t, j, put("a", "1"), put("b", "2"))
	behind(t, pool, opts, `create function {}.no_room() returns trigger language plpgsql as
		$$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$`)
	behind(t, pool, opts, `create trigger no_room before insert or update on {}.record for each row execute function {}.no_room()`)
	for range 2 {
		_, err := j.Append(t.Context(), batchOf(put("a", "3"), put("c", "4"), journal.Change{Key: []byte("b"), Delete: true}))
		require.ErrorIs(t, err, journal.ErrRejected)
		require.ErrorContains(t, err, "53100")
	}
	appendTo(t, j, journal.Change{Key: []byte("b"), Delete: true})
	behind(t, pool, opts, `alter table {}.record disable trigger no_room`) // which Open would refuse
	j = open(t, e, "p", contents{"a": "1"})
	behind(t, pool, opts, `alter table {}.record enable trigger no_room`)
	_, err := j.Append(t.Context(), batchOf(put("b", "5")))
	require.ErrorIs(t, err, journal.ErrRejected)
	behind(t, pool, opts, `drop trigger no_room on {}.record`)
	appendTo(t, j, put("b", "6"))
	open(t, e, "p", contents{"a": "1", "b": "6"})
}
