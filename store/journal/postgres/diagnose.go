package postgres

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/loopstore/loopstore/store/journal"
)

// A rule says what one setting of the server should be.
type rule struct {
	setting string
	right   func(value string) bool
	wrong   journal.Status
	advice  string
}

func is(want string) func(string) bool { return func(value string) bool { return value == want } }

func atLeast(least int) func(string) bool {
	return func(value string) bool {
		n, err := strconv.Atoi(value)
		return err == nil && n >= least
	}
}

var rules = []rule{
	{"server_version_num", atLeast(130000), journal.Broken, "at least PostgreSQL 13"},
	{"block_size", atLeast(8192), journal.Broken, "at least 8192: an index on smaller pages has no room for the largest key"},
	{"in_recovery", is("off"), journal.Broken, "a standby takes no writes: connect to the primary, with target_session_attrs=read-write"},
	{"fsync", is("on"), journal.Risk, "turn it on, or a crash of the machine loses acknowledged batches, and may destroy the database"},
	{"full_page_writes", is("on"), journal.Risk, "turn it on, or a crash of the machine may leave half-written pages, unless the file system prevents them"},
	{"synchronous_standby_names", func(value string) bool { return value != "" }, journal.Risk,
		"name a standby, or acknowledged batches are lost with the server's disk, and in a failover"},
	{"synchronous_commit", func(string) bool { return true }, journal.OK, "any: each commit waits for the standby's disk too; remote_apply waits for more, and is kept"},
	{"data_checksums", is("on"), journal.Risk, "turn it on (pg_checksums), or damage on the disk may go unnoticed until a partition is opened, and spread to every copy"},
	{"ignore_checksum_failure", is("off"), journal.Risk, "turn it off, or records are read from pages known to be damaged"},
	{"zero_damaged_pages", is("off"), journal.Risk, "turn it off, or the records of a damaged page are thrown away"},
	{"autovacuum", is("on"), journal.Risk, "turn it on, or replaced records fill the disk, until the server refuses to write"},
	{"track_counts", is("on"), journal.Risk, "turn it on: autovacuum needs it"},
}

// Diagnose looks at the settings that the promises of the engine depend on, at its
// schema, and at what keeps the schema from being tidied. It returns a finding for
// each, always in the same order. It changes nothing. It cannot see what a server or a
// role will override later.
func (e *Engine) Diagnose(ctx context.Context) ([]journal.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	l, err := e.lookAt(ctx)
	if err != nil {
		return nil, &Error{Op: "diagnose", Schema: e.schema, Err: cleaned(err)}
	}
	findings := []journal.Finding{l.pool()}
	for _, r := range rules {
		value, known := l.settings[r.setting]
		f := journal.Finding{Status: r.wrong, Setting: r.setting, Value: value, Advice: r.advice}
		switch {
		case !known:
			f.Status = journal.Unknown
		case r.right(value):
			f.Status = journal.OK
		}
		findings = append(findings, f)
	}
	if l.settings["synchronous_standby_names"] != "" && l.settings["in_recovery"] == "off" {
		findings = append(findings, l.synchronous())
	}
	return append(findings, l.schema(e.schema), l.dead(), l.oldest(), l.prepared(), l.slots()), nil
}

// A look is what Diagnose has seen.
type look struct {
	session  *session
	settings map[string]string
	standing standing

	seesAll                   bool // what other roles do
	bytes, rows, deadRows     int64
	standbys                  int64    // that commits wait for, or may
	old, prepares, slotsThere []string // what keeps replaced rows
}

// What keeps replaced rows from being removed is of this database, or of all.
const (
	askSettings = `select name, setting from pg_settings
		union all select 'in_recovery', case when pg_is_in_recovery() then 'on' else 'off' end`
	askSight = `select pg_has_role(current_user, 'pg_read_all_stats', 'usage')`
	askSize  = `select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint,
			coalesce(sum(s.n_live_tup + coalesce(t.n_live_tup, 0)), 0)::bigint, coalesce(sum(s.n_dead_tup + coalesce(t.n_dead_tup, 0)), 0)::bigint
		from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_stat_all_tables s on s.relid = c.oid
			left join pg_stat_all_tables t on t.relid = c.reltoastrelid
		where n.nspname::text = $1 and c.relname in ('format', 'partition', 'record', 'document')`
	askStandbys = `select count(*) from pg_stat_replication where sync_state in ('sync', 'quorum', 'potential')`
	askOld      = `select format('process %s, %s', pid, coalesce('for ' || date_trunc('second', now() - xact_start)::text, backend_type))
		from pg_stat_activity
		where pid <> pg_backend_pid() and (datname = current_database() and xact_start < now() - interval '1 minute'
				and backend_type not like 'autovacuum%'
			or backend_type = 'walsender' and age(backend_xmin) > 100000)
		order by xact_start nulls last limit 3`
	askPrepared = `select format('%s, for %s', gid, date_trunc('second', now() - prepared)) from pg_prepared_xacts
		where database = current_database() and prepared < now() - interval '1 minute' order by prepared limit 3`
	askSlots = `select format('%s, %s', slot_name, case when active then 'which keeps ' || greatest(age(xmin), age(catalog_xmin)) || ' transactions'
			else 'which nobody reads' end)
		from pg_replication_slots where not active or greatest(age(xmin), age(catalog_xmin)) > 100000 order by slot_name limit 3`
)

// lookAt asks all in one transaction, on any pool and any server.
func (e *Engine) lookAt(ctx context.Context) (*look, error) {
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	l := &look{session: sessionOf(conn.Conn().PgConn()), settings: map[string]string{}}
	b := &pgx.Batch{}
	b.Queue(`begin read only`)
	var name, value string
	b.Queue(askSettings).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error {
			l.settings[name] = value
			return nil
		})
		return err
	})
	one := func(sql string, into ...any) func(args ...any) {
		return func(args ...any) {
			b.Queue(sql, args...).QueryRow(func(row pgx.Row) error { return row.Scan(into...) })
		}
	}
	lines := func(sql string, into *[]string) {
		b.Queue(sql).Query(func(rows pgx.Rows) (err error) {
			*into, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
	}
	l.standing.ask(b, e.schema)
	one(askSight, &l.seesAll)()
	one(askSize, &l.bytes, &l.rows, &l.deadRows)(e.schema)
	one(askStandbys, &l.standbys)()
	lines(askOld, &l.old)
	lines(askPrepared, &l.prepares)
	lines(askSlots, &l.slotsThere)
	b.Queue(`commit`)
	return l, sendUnnamed(ctx, conn.Conn(), b)
}
