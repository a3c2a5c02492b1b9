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

// Options are those of an [Engine] and a [Directory]. The zero value is useful.
type Options struct {
	// Schema is where the tables are. Both are made when they are not there.
	// "" means loopstore. One schema is one set of partitions and documents.
	Schema string

	// Timeout is how long one call of the database may take: the connecting, one
	// round trip, or, while Open reads, the wait for the next record. 0 means 15
	// seconds. It must be enough for a round trip with the largest value.
	Timeout time.Duration

	// Patience is how long an Append whose outcome is not known tries to find it
	// out, from the first failure on. 0 means 30 seconds.
	Patience time.Duration
}

// An Engine is a [journal.Engine] on a schema of a database. It holds nothing
// but the pool, which stays the caller's: an Append has one connection of it for
// as long as it lasts, and so has Open. What emit does of its own with the
// database needs another one.
type Engine struct {
	database
	patience time.Duration
}

// An Error says what was being done when something failed, and with what. Of a
// batch, the error of package journal in it says whether it was stored. It wraps
// the cause, of a server's error only the code and the message.
type Error struct {
	Op     string // open, append, read, write or diagnose
	Schema string // "" of diagnose
	Name   string // of the partition or the document
	Err    error
}

func (e *Error) Error() string {
	if e.Schema == "" {
		return fmt.Sprintf("postgres: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("postgres: %s %.40q in %q: %v", e.Op, e.Name, e.Schema, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrPool means that a pool was not made by NewPool, so that it would go
// unnoticed that the wait for a standby was called off. Nothing was stored.
var ErrPool = errors.New("the pool was not made by NewPool")

// New returns an engine on a pool that NewPool has made. It touches nothing;
// Open does.
func New(pool *pgxpool.Pool, opts Options) *Engine {
	if opts.Patience <= 0 {
		opts.Patience = 30 * time.Second
	}
	return &Engine{newDatabase(pool, opts), opts.Patience}
}

// Open is that of [journal.Engine]. It takes the partition over in a transaction
// of its own, and waits for an append that is under way. Then it reads what
// stands in another one, which sees one moment. That what it has emitted is not
// what was stored shows at the end.
func (e *Engine) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j := &owned{engine: e, partition: partition, id: idOf(partition), digests: map[keyID]journal.Digest{}}
	_, _ = rand.Read(j.owner[:])
	var emitted *emitError
	switch err := j.open(ctx, emit); {
	case errors.As(err, &emitted):
		return nil, emitted.err
	case err != nil:
		return nil, j.wrap("open", err)
	}
	return j, nil
}

// cleaned leaves out of a server's error what may be a payload.
func cleaned(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return &pgconn.PgError{Severity: e.Severity, Code: e.Code, Message: e.Message, Hint: e.Hint}
	}
	return err
}
