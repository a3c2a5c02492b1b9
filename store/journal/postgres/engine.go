package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/loopstore/loopstore/store/journal"
)

// Options configure an [Engine] or a [Directory]. The zero value is useful.
type Options struct {
	// Schema holds the tables. The first use creates what is missing. "" means
	// loopstore. A schema is one set of partitions and documents. Its name has at
	// most 63 bytes; what the server would refuse or cut is ErrName.
	Schema string

	// Timeout bounds one call of the database: connecting, one round trip or, while
	// Open reads, the wait for the next record. It must be long enough for a round
	// trip with the largest value, and a share of it for connecting to each server
	// that the pool names. 0 means 15 seconds.
	Timeout time.Duration

	// Patience bounds how long Append tries to find out an unknown outcome, from the
	// first failure on. 0 means 30 seconds.
	Patience time.Duration
}

// An Engine is a [journal.Engine] on a schema of a database. It holds only the pool,
// which stays the caller's. Append and Open each take one connection while they run;
// an emit that uses the database needs another.
type Engine struct {
	database
	patience time.Duration
}

// An Error says what failed, and for which partition or document. It wraps the cause;
// of a server's error it keeps only the code, the message and the hint. After
// Append, the error of package journal in it says whether the batch was stored.
type Error struct {
	Op     string // open, append, read, write or diagnose
	Schema string
	Name   string // of the partition or the document, "" for diagnose
	Err    error
}

func (e *Error) Error() string {
	if e.Op == "diagnose" {
		return fmt.Sprintf("postgres: diagnose %q: %v", e.Schema, e.Err)
	}
	return fmt.Sprintf("postgres: %s %.40q in %q: %v", e.Op, e.Name, e.Schema, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrPool means that the pool does not come from NewPool. Then nothing would notice
// that the wait for a standby was called off. Nothing was stored.
var ErrPool = errors.New("the pool does not come from NewPool")

// New returns an engine on a pool of NewPool. It does not use the database; Open
// does.
func New(pool *pgxpool.Pool, opts Options) *Engine {
	if opts.Patience <= 0 {
		opts.Patience = 30 * time.Second
	}
	return &Engine{newDatabase(pool, opts), opts.Patience}
}

// Open implements [journal.Engine]. It takes the partition over in a transaction,
// which waits for an append that is under way. In another one, which sees one moment,
// it reads what stands. Only at the end does it know whether what it has emitted is
// what was stored.
func (e *Engine) Open(ctx context.Context, name string, emit func(journal.Change) error) (journal.Journal, error) {
	p := &partition{engine: e, name: name, id: idOf(name), digests: map[[16]byte]journal.Digest{}}
	_, _ = rand.Read(p.holder[:])
	err := p.open(ctx, emit)
	if emitted, ok := errors.AsType[emitError](err); ok {
		return nil, emitted.error
	}
	if err != nil {
		return nil, p.wrap("open", err)
	}
	return p, nil
}

// cleaned drops from a server's error what may hold a payload.
func cleaned(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return &pgconn.PgError{Severity: e.Severity, Code: e.Code, Message: e.Message, Hint: e.Hint}
	}
	return err
}
