package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/bench/journalbench"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
	"github.com/loopstore/loopstore/store/journal/postgres/postgrestest"
)

// connections is how many a client without the loop has, for any number of
// callers.
const connections = 64

// durable runs a server that syncs, and makes a pool. Who does without the loop
// has the plans that the engine has.
func durable(b *testing.B) *pgxpool.Pool {
	return poolAt(b, postgrestest.Start(b).URL()+fmt.Sprint(" pool_max_conns=", connections)+
		" options='-c enable_seqscan=off -c plan_cache_mode=force_generic_plan'")
}

// raw returns what writes changes as records, in one transaction and nothing
// else.
func raw(b *testing.B, pool *pgxpool.Pool) func(context.Context, []journal.Change) error {
	_, err := pool.Exec(b.Context(), `create table raw (key bytea primary key, value bytea not null)`)
	require.NoError(b, err)
	return func(ctx context.Context, changes []journal.Change) error {
		gone, keys, values := [][]byte{}, [][]byte{}, [][]byte{}
		for _, c := range changes {
			if c.Delete {
				gone = append(gone, c.Key)
				continue
			}
			keys, values = append(keys, c.Key), append(values, c.Value)
		}
		_, err := pool.Exec(ctx, `with gone as (delete from raw where key = any($1))
			insert into raw select * from unnest($2::bytea[], $3::bytea[])
			on conflict (key) do update set value = excluded.value`, gone, keys, values)
		return err
	}
}

// subject is a server that syncs, whose client without the loop has connections
// for its callers.
var subject = journalbench.Subject{
	Engine: func(b *testing.B) journal.Engine { return postgres.New(durable(b), fresh()) },
	Raw:    func(b *testing.B) func(context.Context, []journal.Change) error { return raw(b, durable(b)) },
}

func BenchmarkInputs(b *testing.B)   { journalbench.Inputs(b, subject) }
func BenchmarkSessions(b *testing.B) { journalbench.Sessions(b, subject) }
func BenchmarkOpen(b *testing.B)     { journalbench.Open(b, subject) }
