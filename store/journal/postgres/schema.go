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

// createSQL makes what is not there. It is one transaction, one at a time: IF
// NOT EXISTS fails where two begin at once.
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

// statements are those of a schema.
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

		// Wait at least until the commit is on disk, here and on the standbys; get
		// to know when that wait is called off; find records by their keys, also
		// when nothing is known of the table yet, and do not plan that anew each
		// time, which takes longer than the rest of an append; and let go of the
		// partition if this process stops between two round trips.
		settings: `select
			set_config('synchronous_commit', case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, true),
			set_config('client_min_messages', 'warning', true),
			set_config('enable_seqscan', 'off', true),
			set_config('plan_cache_mode', 'force_generic_plan', true), ` + idle,
		// To read all takes as long as it takes, and the first record comes at once.
		patient: `select set_config('statement_timeout', '0', true), set_config('enable_seqscan', 'off', true),
			set_config('enable_sort', 'off', true), ` + idle,

		take: in(`insert into {}.partition as p (id, name, epoch, owner, previous, idx, began, batch, keys, digest)
			values ($1, $2, 1, $3, $4, 0, 0, $4, 0, $5)
			on conflict (id) do update set epoch = p.epoch + 1, owner = $3, previous = p.owner, began = p.idx
			returning epoch`),
		head:    in(`select owner, epoch, idx, keys, digest from {}.partition where id = $1`),
		records: in(`select key, value from {}.record where partition = $1 order by key`),

		// One statement, so that one which comes late, when the same batch was
		// stored by another try, changes nothing.
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

// idOf is what a partition or a document is found by, since a name is too long
// for an index: the first half of its SHA-256.
func idOf(name string) (id [16]byte) {
	sum := sha256.Sum256([]byte(name))
	return [16]byte(sum[:16])
}

// ready checks the format, and makes the tables if there are none.
func (d *database) ready(ctx context.Context) error {
	version, err := d.version(ctx)
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok && (failed.Code == noTable || failed.Code == noSchema) {
		if err = d.create(ctx); err == nil {
			version, err = d.version(ctx)
		}
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%w: its format is lost", journal.ErrCorrupt)
	case err != nil:
		return cleaned(err)
	case version > formatVersion:
		return fmt.Errorf("%w: version %d, this one knows %d", journal.ErrNewerFormat, version, formatVersion)
	case version != formatVersion:
		return fmt.Errorf("%w: format version %d was never used", journal.ErrCorrupt, version)
	}
	return nil
}

// SQLSTATEs.
const (
	noTable  = "42P01"
	noSchema = "3F000"
)

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
