package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/loopstore/loopstore/store/journal"
)

// ErrRights means that the role lacks a right that it needs. The text says which, and
// Schema returns the SQL that grants it. Nothing was created or stored.
var ErrRights = errors.New("the role lacks a right")

// A standing is how a schema stands in a server, and what the role may do there.
type standing struct {
	longest                        int64 // how many bytes a name may have
	serverEncoding, clientEncoding string
	role                           string

	exists               bool // the schema
	mayUse, mayCreate    bool // the schema, and in it
	mayCreateSchema      bool
	tables               map[string]table
	version, formatLines int64 // of the format; asked for apart
}

type table struct {
	kind, persistence string
	may               []string // of the rights that an engine needs
	altered           []string // what may change what is written or read, or lacks
}

const askSchema = `select current_setting('max_identifier_length')::bigint, current_setting('server_encoding'),
		current_setting('client_encoding'), current_user::text, n.oid is not null,
		coalesce(has_schema_privilege(n.oid, 'usage'), false), coalesce(has_schema_privilege(n.oid, 'create'), false),
		has_database_privilege(current_database(), 'create')
	from (select) as one left join pg_namespace n on n.nspname::text = $1`

const askTables = `select c.relname::text, c.relkind::text, c.relpersistence::text, array(
		select r from unnest(array['select', 'insert', 'update', 'delete']) r where has_table_privilege(c.oid, r)),
		array(select 'the trigger ' || tgname from pg_trigger where tgrelid = c.oid and not tgisinternal and tgenabled <> 'D'
			union all select 'the rule ' || rulename from pg_rewrite where ev_class = c.oid and ev_enabled <> 'D'
			union all select 'row-level security' where row_security_active(c.oid)
			union all select 'no primary key' where c.relname <> 'format' and not exists (select from pg_index where indrelid = c.oid and indisprimary))
	from pg_class c join pg_namespace n on n.oid = c.relnamespace
	where n.nspname::text = $1 and c.relname in ('format', 'partition', 'record', 'document')`

// ask adds the questions to a batch.
func (s *standing) ask(b *pgx.Batch, schema string) {
	b.Queue(askSchema, schema).QueryRow(func(row pgx.Row) error {
		return row.Scan(&s.longest, &s.serverEncoding, &s.clientEncoding, &s.role, &s.exists, &s.mayUse, &s.mayCreate, &s.mayCreateSchema)
	})
	b.Queue(askTables, schema).Query(func(rows pgx.Rows) error {
		s.tables = map[string]table{}
		var name string
		var t table
		_, err := pgx.ForEachRow(rows, []any{&name, &t.kind, &t.persistence, &t.may, &t.altered}, func() error {
			s.tables[name] = table{t.kind, t.persistence, slices.Clone(t.may), slices.Clone(t.altered)}
			return nil
		})
		return err
	})
}

// ready checks that the schema can be used, and creates the tables if there are none.
func (d *database) ready(ctx context.Context) error {
	if err := checkName(d.schema); err != nil {
		return err
	}
	s, err := d.standing(ctx, true)
	if unreadable(err) {
		if s, err = d.standing(ctx, false); err != nil {
			return err
		}
		if err := s.checkMissing(d.schema); err != nil {
			return err
		}
		if err := d.create(ctx); err != nil {
			return fmt.Errorf("creating the tables: %w", err)
		}
		s, err = d.standing(ctx, true)
	}
	if err != nil {
		return err
	}
	return s.check(d.schema)
}

// standing asks how the schema stands, and for the format's version only if told to:
// that fails where there is none.
func (d *database) standing(ctx context.Context, version bool) (*standing, error) {
	s := new(standing)
	return s, d.within(ctx, func(tx *transaction) error {
		b := d.begin()
		if tx.session.pooled {
			if err := tx.send(ctx, b); err != nil {
				return poolerError(err)
			}
			b = &pgx.Batch{}
		}
		if version { // first: if another creates the tables meanwhile, all that follows sees them
			b.Queue(d.sql.version).QueryRow(func(row pgx.Row) error { return row.Scan(&s.formatLines, &s.version) })
		}
		s.ask(b, d.schema)
		b.Queue("commit")
		return tx.send(ctx, b)
	})
}

// ErrPooler means that a pooler between this process and the server lets a transaction
// have no connection to itself. Nothing was created or stored.
var ErrPooler = errors.New("the pooler ends open transactions: set pool_mode to transaction or session")

// poolerError returns the error of a pooler when it is left with an open transaction.
func poolerError(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "08P01" && strings.Contains(e.Message, "statement pooling") { // PgBouncer has this code for all that it says
		return fmt.Errorf("%w: %w", ErrPooler, err)
	}
	return err
}

// unreadable reports whether the format could not be read because there is no such
// table or schema, or no right to read it.
func unreadable(err error) bool {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"42P01", "3F000", "42501", "42703"}, failed.Code)
}

// checkMissing returns why what is missing cannot be created, or cannot be read, or
// nil.
func (s *standing) checkMissing(schema string) error {
	if err := s.checkName(schema); err != nil {
		return err
	}
	switch {
	case !s.exists && !s.mayCreateSchema:
		return s.lacks("create a schema in the database, where there is none of this name yet")
	case !s.exists:
		return nil
	case !s.mayUse:
		return s.lacks("use the schema")
	case len(s.tables) > 0:
		return s.checkTables()
	case !s.mayCreate:
		return s.lacks("create tables in the schema, where there are none yet")
	}
	return nil
}

// check returns nil if tables and format are as an engine needs them.
func (s *standing) check(schema string) error {
	if err := errors.Join(s.checkName(schema), s.checkTables()); err != nil {
		return err
	}
	switch {
	case s.formatLines == 0:
		return corrupt("the format's row is gone")
	case s.version > formatVersion:
		return fmt.Errorf("%w: version %d, this program knows %d", journal.ErrNewerFormat, s.version, formatVersion)
	case s.formatLines > 1:
		return corrupt("the format has %d rows", s.formatLines)
	case s.version != formatVersion:
		return corrupt("format version %d was never used", s.version)
	}
	return nil
}

func (s *standing) checkTables() error {
	if _, format := s.tables["format"]; !format || len(s.tables) == 1 {
		return fmt.Errorf("the schema holds somebody else's tables: %s. Nothing was created; use another schema", s.names())
	}
	for _, r := range rights {
		t, there := s.tables[r.table]
		switch {
		case !there:
			return corrupt("the table %s is gone", r.table)
		case t.kind != "r" && t.kind != "p":
			return fmt.Errorf("%s is not a table", r.table)
		case t.persistence != "p":
			return fmt.Errorf("the table %s is unlogged: a crash of the server would empty it; alter it to be logged", r.table)
		case len(t.altered) > 0:
			return fmt.Errorf("the table %s has %s: what is stored in it may be lost, changed or refused. Nothing was stored; make it as Schema does", r.table, strings.Join(t.altered, ", "))
		}
		for _, need := range r.need {
			if !slices.Contains(t.may, need) {
				return s.lacks(need + " on the table " + r.table)
			}
		}
	}
	return nil
}

func (s *standing) lacks(right string) error {
	return fmt.Errorf("%w: %q may not %s", ErrRights, s.role, right)
}

func (s *standing) names() string {
	var names []string
	for name := range s.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
