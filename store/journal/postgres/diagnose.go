package postgres

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/loopstore/loopstore/store/journal"
)

// A rule is about one setting of the server.
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
	{"server_version_num", atLeast(130000), journal.Broken, "PostgreSQL 13 is the oldest that it works with"},
	{"block_size", atLeast(8192), journal.Broken, "smaller pages have no room for a key of the largest size in an index"},
	{"in_recovery", is("off"), journal.Broken, "a standby takes no writes: connect to the primary, with target_session_attrs=read-write"},
	{"fsync", is("on"), journal.Risk, "turn it on, or a crash of the machine loses acknowledged batches, and may destroy the database"},
	{"full_page_writes", is("on"), journal.Risk, "turn it on, or a crash of the machine may leave pages half written, unless the file system never does"},
	{"synchronous_standby_names", func(value string) bool { return value != "" }, journal.Risk,
		"name a standby, or acknowledged batches are lost with the disk of the server, and by a failover"},
	{"synchronous_commit", func(string) bool { return true }, journal.OK, "a commit waits for the disk of the standby as well, whatever this is: only remote_apply is more, and is kept"},
	{"data_checksums", is("on"), journal.Risk, "turn it on (pg_checksums), or damage on the disk may go unnoticed until a partition is opened, and into every copy"},
	{"ignore_checksum_failure", is("off"), journal.Risk, "turn it off, or records are read from pages that are known to be damaged"},
	{"zero_damaged_pages", is("off"), journal.Risk, "turn it off, or the records of a damaged page are thrown away"},
	{"autovacuum", is("on"), journal.Risk, "turn it on, or what was replaced fills the disk, and in the end the server refuses to write"},
	{"track_counts", is("on"), journal.Risk, "turn it on: autovacuum needs it"},
}

// Diagnose looks at what the promises of an [Engine] on this pool depend on, and
// returns a finding on each, in an order that does not change. It changes
// nothing. What a server or a role can override later it cannot see.
func Diagnose(ctx context.Context, pool *pgxpool.Pool) ([]journal.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	settings, watched, err := lookAt(ctx, pool)
	if err != nil {
		return nil, &Error{Op: "diagnose", Err: cleaned(err)}
	}
	findings := []journal.Finding{{Setting: "pool", Value: "made by NewPool"}}
	if !watched {
		findings[0] = journal.Finding{Status: journal.Broken, Setting: "pool", Value: "not made by NewPool", Advice: "make it with NewPool: " + ErrPool.Error()}
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

// lookAt returns the settings of a server, and whether the pool is NewPool's.
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
	defer rows.Close()
	settings = map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, false, err
		}
		settings[name] = value
	}
	return settings, warningsOf(conn.Conn().PgConn()) != nil, rows.Err()
}
