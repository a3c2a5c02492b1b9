package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/loopstore/loopstore/store/journal"
)

const formatVersion = 1

// createSQL creates what is missing, in one transaction. The lock lets only one run at
// a time, because IF NOT EXISTS fails when two begin at once.
const createSQL = beginWriting + `;
select pg_advisory_xact_lock(7810206548);
create schema if not exists {};
create table if not exists {}.format (version bigint not null);
insert into {}.format select 1 where not exists (select from {}.format);
create table if not exists {}.partition (
	id uuid primary key, name bytea not null,
	epoch bigint not null, owner uuid not null, previous uuid not null,
	idx bigint not null, began bigint not null, batch uuid not null,
	keys bigint not null, digest bytea not null
) with (fillfactor = 20);
create table if not exists {}.record (
	partition uuid, key bytea, value bytea not null, primary key (partition, key)
);
create table if not exists {}.document (
	id uuid primary key, name bytea not null, revision bigint not null, document bytea not null
);
commit`

const (
	beginWriting = `begin isolation level read committed, read write`
	beginReading = `begin isolation level repeatable read, read only`
)

// statements are the SQL for one schema.
type statements struct {
	create, version, settings, patient string
	take, head, records                string
	advance, more, look                string
	readDocument, newDocument, replace string
}

func statementsOf(schema string, timeout time.Duration) statements {
	in := func(sql string) string {
		return strings.ReplaceAll(sql, "{}", pgx.Identifier{schema}.Sanitize())
	}
	idle := fmt.Sprintf(`set_config('idle_in_transaction_session_timeout', '%d', true)`, min(max(timeout.Milliseconds(), 1), math.MaxInt32))
	return statements{
		create:  in(createSQL),
		version: in(`select version from {}.format`),

		// Commits wait at least until they are on disk, here and on the standbys. A
		// warning says when that wait was called off. Records are found by their
		// keys even before the table has statistics. A plan is made once, because
		// planning takes longer than the rest of an append. The partition is
		// released if this process stops between two round trips.
		settings: `select
			set_config('synchronous_commit', case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, true),
			set_config('client_min_messages', 'warning', true),
			set_config('enable_seqscan', 'off', true),
			set_config('plan_cache_mode', 'force_generic_plan', true), ` + idle,
		// Reading has no time limit as a whole, and the first record comes at once.
		patient: `select set_config('statement_timeout', '0', true), set_config('enable_seqscan', 'off', true),
			set_config('enable_sort', 'off', true), ` + idle,

		take: in(`insert into {}.partition as p (id, name, epoch, owner, previous, idx, began, batch, keys, digest)
			values ($1, $2, 1, $3, $4, 0, 0, $4, 0, $5)
			on conflict (id) do update set epoch = p.epoch + 1, owner = $3, previous = p.owner, began = p.idx
			returning epoch`),
		head:    in(`select owner, epoch, idx, keys, digest from {}.partition where id = $1`),
		records: in(`select key, value from {}.record where partition = $1 order by key`),

		// One statement, so that a late try changes nothing after another try has
		// stored the same batch.
		advance: in(`with head as (
				update {}.partition set idx = idx + 1, batch = $4, keys = $5, digest = $6
				where id = $1 and owner = $2 and idx = $3 returning id
			), gone as (
				delete from {}.record r using head where r.partition = head.id and r.key = any($7)
			), put as (
				insert into {}.record (partition, key, value)
				select head.id, u.key, u.value from head, unnest($8::bytea[], $9::bytea[]) as u (key, value)
				on conflict (partition, key) do update set value = excluded.value
			)
			select count(*) from head`),
		more: in(`with gone as (
				delete from {}.record where partition = $1 and key = any($2)
			)
			insert into {}.record (partition, key, value)
			select $1, u.key, u.value from unnest($3::bytea[], $4::bytea[]) as u (key, value)
			on conflict (partition, key) do update set value = excluded.value`),
		look: in(`update {}.partition set idx = idx where id = $1 returning owner, previous, idx, began, batch`),

		readDocument: in(`select revision, document from {}.document where id = $1`),
		newDocument: in(`insert into {}.document (id, name, revision, document) values ($1, $2, 1, $3)
			on conflict (id) do nothing`),
		replace: in(`update {}.document set revision = revision + 1, document = $3 where id = $1 and revision = $2`),
	}
}

// idOf returns the first half of a SHA-256. It stands for the name of a partition or a
// document, which may be too long for an index. In memory it stands for a key: it takes
// 16 bytes however long that is, and holds no pointer for the garbage collector.
func idOf[T string | []byte](text T) [16]byte {
	sum := sha256.Sum256([]byte(text))
	return [16]byte(sum[:16])
}

// ready checks the format, and creates the tables if there are none.
func (d *database) ready(ctx context.Context) error {
	version, err := d.version(ctx)
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok && (failed.Code == "42P01" || failed.Code == "3F000") { // no such table, or schema
		if err = d.create(ctx); err == nil {
			version, err = d.version(ctx)
		}
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return corrupt("the format's row is gone")
	case err != nil:
		return cleaned(err)
	case version > formatVersion:
		return fmt.Errorf("%w: version %d, this program knows %d", journal.ErrNewerFormat, version, formatVersion)
	case version != formatVersion:
		return corrupt("format version %d was never used", version)
	}
	return nil
}

func (d *database) version(ctx context.Context) (version int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	err = d.pool.QueryRow(ctx, d.sql.version).Scan(&version)
	return version, err
}

func (d *database) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	_, err := d.pool.Exec(ctx, d.sql.create, pgx.QueryExecModeSimpleProtocol)
	return err
}
