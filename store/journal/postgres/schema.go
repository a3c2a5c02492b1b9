package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

const formatVersion = 1

// createSchema and createTables are executed one after the other, in one transaction.
//
// The row of a partition changes with every append, and finds room for that in its
// page. What replaced records leave is removed ten times as fast as by default, and
// earlier: at some 1,000 commits of 10 KB a second over 20 records, the table grew for 80
// seconds, to 1.4 GB, then stopped, and shrank to 0.1 GB when the commits became fewer.
// With the defaults it still grew after 140 seconds.
const createSchema = `create schema if not exists {}`

var createTables = []string{
	`create table {}.format (version bigint not null)`,
	`insert into {}.format values (1)`,
	`create table {}.partition (
	id uuid primary key, name bytea not null,
	epoch bigint not null, owner uuid not null, previous uuid not null,
	idx bigint not null, began bigint not null, batch uuid not null,
	keys bigint not null, digest bytea not null
) with (fillfactor = 20)`,
	`create table {}.record (
	partition uuid, key bytea, value bytea not null, primary key (partition, key)
) with (
	autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_limit = 2000,
	toast.autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_cost_limit = 2000
)`,
	`create table {}.document (
	id uuid primary key, name bytea not null, revision bigint not null, document bytea not null
)`,
}

// rights are what a role needs once the tables are there, besides usage of the
// schema.
var rights = []struct {
	table string
	need  []string
}{
	{"format", []string{"select"}},
	{"partition", []string{"select", "insert", "update"}},
	{"record", []string{"select", "insert", "update", "delete"}},
	{"document", []string{"select", "insert", "update"}},
}

// Schema returns the SQL with which an administrator makes what the first use would
// make otherwise, and lets roles use it that need no other rights. "" means
// loopstore. It fails, with ErrName, for a name that a schema cannot have.
func Schema(schema string, roles ...string) (sql string, err error) {
	schema = schemaOr(schema)
	if err := checkName(schema); err != nil {
		return "", err
	}
	statements := []string{"begin", inSchema(schema, createSchema)}
	for _, sql := range createTables {
		statements = append(statements, inSchema(schema, sql))
	}
	for _, role := range roles {
		to := " to " + pgx.Identifier{role}.Sanitize()
		statements = append(statements, inSchema(schema, `grant usage on schema {}`)+to)
		for _, r := range rights {
			statements = append(statements, `grant `+strings.Join(r.need, ", ")+inSchema(schema, ` on {}.`)+r.table+to)
		}
	}
	return strings.Join(append(statements, "commit"), ";\n") + ";\n", nil
}

func schemaOr(schema string) string {
	if schema == "" {
		return "loopstore"
	}
	return schema
}

// inSchema puts the schema's name, quoted, in the place of {}.
func inSchema(schema, sql string) string {
	return strings.ReplaceAll(sql, "{}", pgx.Identifier{schema}.Sanitize())
}

// create creates what is missing, in one transaction. The lock lets only one run at a
// time; another may have been first.
func (d *database) create(ctx context.Context) error {
	return d.within(ctx, func(tx *transaction) error {
		var s standing
		b := d.begin()
		b.Queue(`select pg_advisory_xact_lock(7810206548)`)
		s.ask(b, d.schema)
		if err := tx.send(ctx, b); err != nil {
			return err
		}
		b = &pgx.Batch{}
		if !s.exists {
			b.Queue(inSchema(d.schema, createSchema))
		}
		if len(s.tables) == 0 {
			for _, sql := range createTables {
				b.Queue(inSchema(d.schema, sql))
			}
		}
		b.Queue("commit")
		return tx.sendUnnamed(ctx, b)
	})
}
