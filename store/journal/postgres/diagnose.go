package postgres

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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

// Diagnose checks the settings that the promises of an [Engine] on this pool depend
// on, and returns a finding for each, always in the same order. It changes nothing.
// It cannot see what a server or a role will override later.
func Diagnose(ctx context.Context, pool *pgxpool.Pool) ([]journal.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	settings, watched, err := lookAt(ctx, pool)
	if err != nil {
		return nil, &Error{Op: "diagnose", Err: cleaned(err)}
	}
	findings := []journal.Finding{{Setting: "pool", Value: "made by NewPool"}}
	if !watched {
		findings[0] = journal.Finding{Status: journal.Broken, Setting: "pool", Value: "not made by NewPool", Advice: "one made by NewPool, or no append succeeds"}
	}
	for _, r := range rules {
		value, known := settings[r.setting]
		f := journal.Finding{Status: r.wrong, Setting: r.setting, Value: value, Advice: r.advice}
		switch {
		case !known:
			f.Status = journal.Unknown
		case r.right(value):
			f.Status = journal.OK
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// lookAt returns the settings of the server, and whether the pool is from NewPool.
func lookAt(ctx context.Context, pool *pgxpool.Pool) (settings map[string]string, watched bool, err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, false, err
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, `select name, setting from pg_settings
		union all select 'in_recovery', case when pg_is_in_recovery() then 'on' else 'off' end`)
	if err != nil {
		return nil, false, err
	}
	settings = map[string]string{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		settings[name] = value
		return nil
	})
	return settings, sessionOf(conn.Conn().PgConn()) != nil, err
}
