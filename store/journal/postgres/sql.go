package postgres

import (
	"crypto/sha256"
	"fmt"
	"math"
	"time"
)

const (
	beginWriting = `begin isolation level read committed, read write`
	beginReading = `begin isolation level repeatable read, read write` // a standby refuses that
)

// statements are the SQL for one schema.
type statements struct {
	version, settings, patient         string
	take, head, records                string
	advance, more, look                string
	readDocument, newDocument, replace string
}

func statementsOf(schema string, timeout time.Duration) statements {
	in := func(sql string) string { return inSchema(schema, sql) }
	ms := min(max(timeout.Milliseconds(), 4), math.MaxInt32)
	s := max(ms/3000, 1)
	// Names mean the server's own, whatever search_path is. A policy that hides rows
	// is an error. If this process or its machine vanishes between two round trips,
	// the server notices, and gives up what is locked.
	common := fmt.Sprintf(`pg_catalog.set_config('search_path', 'pg_catalog', true),
			pg_catalog.set_config('row_security', 'off', true),
			pg_catalog.set_config('enable_seqscan', 'off', true), pg_catalog.set_config('jit', 'off', true),
			pg_catalog.set_config('idle_in_transaction_session_timeout', '%d', true),
			pg_catalog.set_config('tcp_keepalives_idle', '%d', true),
			pg_catalog.set_config('tcp_keepalives_interval', '%[2]d', true),
			pg_catalog.set_config('tcp_keepalives_count', '2', true)`, ms, s)
	return statements{
		version: in(`select count(*), coalesce(min(version), 0) from {}.format`),

		// Commits wait at least until they are on disk, here and on the standbys. A
		// warning says when that wait was called off. Records are found by their
		// keys even before the table has statistics. A plan is made once, because
		// planning takes longer than the rest of an append. Who waits for a lock is told
		// so while he still listens.
		settings: fmt.Sprintf(`select
			pg_catalog.set_config('synchronous_commit',
				case when pg_catalog.texteq(pg_catalog.current_setting('synchronous_commit'), 'remote_apply') then 'remote_apply' else 'on' end, true),
			pg_catalog.set_config('client_min_messages', 'warning', true),
			pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true),
			pg_catalog.set_config('lock_timeout', '%d', true), `, ms*3/4) + common,
		// Reading has no time limit as a whole, and the first record comes at once.
		patient: `select pg_catalog.set_config('statement_timeout', '0', true),
			pg_catalog.set_config('enable_sort', 'off', true), ` + common,

		take: in(`insert into {}.partition as p (id, name, epoch, owner, previous, idx, began, batch, keys, digest)
			values ($1, $2, 1, $3, $4, 0, 0, $4, 0, $5)
			on conflict (id) do update set epoch = p.epoch + 1, owner = $3, previous = p.owner, began = p.idx where p.name = $2
			returning p.epoch`),
		head:    in(`select name, owner, epoch, idx, keys, digest from {}.partition where id = $1`),
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

		readDocument: in(`select name, revision, document from {}.document where id = $1`),
		newDocument: in(`insert into {}.document (id, name, revision, document) values ($1, $2, ` + step + `, $3)
			on conflict (id) do nothing`),
		replace: in(`update {}.document set revision = revision + ` + step + `, document = $3 where id = $1 and revision = $2 and name = $4`),
	}
}

// step is from one revision of a document to the next. A revision may be read that is then
// lost with the server, because no standby had it. So it must not come again.
const step = "1 + floor(random() * 16777216)::bigint"

// idOf returns the first half of a SHA-256. It stands for the name of a partition or a
// document, which may be too long for an index. In memory it stands for a key: it takes
// 16 bytes however long that is, and holds no pointer for the garbage collector.
func idOf[T string | []byte](text T) [16]byte {
	sum := sha256.Sum256([]byte(text))
	return [16]byte(sum[:16])
}
