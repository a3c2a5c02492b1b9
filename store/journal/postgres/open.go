package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/loopstore/loopstore/store/journal"
)

// An emitError is one that emit returned.
type emitError struct{ err error }

func (e *emitError) Error() string { return e.err.Error() }

// errStalled is what ends a reading in which nothing has come for a Timeout.
var errStalled = errors.New("the server has sent nothing for too long")

// open takes the partition over, and emits and checks what stands.
func (j *owned) open(ctx context.Context, emit func(journal.Change) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := j.engine.ready(ctx); err != nil {
		return err
	}
	if err := j.take(ctx); err != nil {
		return err
	}
	return j.read(ctx, emit)
}

// take makes this the owner. When the commit is durable, so is all that earlier
// owners have committed, and whatever they try from now on finds another owner.
func (j *owned) take(ctx context.Context) error {
	b := j.engine.begin()
	b.Queue(j.engine.sql.take, j.id, []byte(j.partition), j.owner, [16]byte{}, encodeDigest(journal.Digest{})).
		QueryRow(func(row pgx.Row) error { return row.Scan(&j.head.Epoch) })
	return j.engine.transact(ctx, b)
}

// read emits what stands, all of one moment, in which this is the owner.
func (j *owned) read(ctx context.Context, emit func(journal.Change) error) error {
	conn, err := j.engine.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes one that is in a transaction
	b := &pgx.Batch{}
	b.Queue(beginReading)
	b.Queue(j.engine.sql.patient)
	b.Queue(j.engine.sql.head, j.id).QueryRow(j.readHead)
	if err := j.engine.send(ctx, conn, b); err != nil {
		return err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(j.engine.timeout, func() { cancel(errStalled) })
	defer watchdog.Stop()
	var found journal.Head
	b = &pgx.Batch{}
	b.Queue(j.engine.sql.records, j.id).Query(func(rows pgx.Rows) error {
		whole := false
		defer func() {
			if !whole {
				cancel(nil) // the server need not send the rest
			}
		}()
		err := j.readRecords(rows, &found, watchdog, emit)
		whole = err == nil
		return err
	})
	b.Queue("commit")
	err = cleaned(conn.SendBatch(ctx, b).Close())
	switch {
	case context.Cause(ctx) == errStalled:
		return errStalled
	case err != nil:
		return err
	case found.Keys != j.head.Keys || found.Digest != j.head.Digest:
		return corrupt("its %d records are not the %d that its head is of", found.Keys, j.head.Keys)
	}
	return nil
}

func (j *owned) readHead(row pgx.Row) error {
	var owner [16]byte
	var digest []byte
	if err := row.Scan(&owner, &j.head.Epoch, &j.head.Index, &j.head.Keys, &digest); err != nil {
		return err
	}
	if owner != j.owner {
		return journal.ErrFenced
	}
	if len(digest) != digestSize {
		return corrupt("its head has a digest of %d bytes", len(digest))
	}
	j.head.Digest = decodeDigest(digest)
	return nil
}

// readRecords emits the records, and adds them to found. While emit is at work
// the watchdog sleeps.
func (j *owned) readRecords(rows pgx.Rows, found *journal.Head, watchdog *time.Timer, emit func(journal.Change) error) error {
	var key, value pgtype.DriverBytes
	for rows.Next() {
		watchdog.Stop()
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		digest := journal.DigestOf(key, value)
		found.Keys++
		found.Digest.Plus(digest)
		j.digests[keyIDOf(key)] = digest
		if err := emit(journal.Change{Key: key, Value: value}); err != nil {
			return &emitError{err}
		}
		watchdog.Reset(j.engine.timeout)
	}
	return rows.Err()
}

const digestSize = 32

func encodeDigest(d journal.Digest) []byte {
	r := make([]byte, 0, digestSize)
	for _, n := range d {
		r = binary.LittleEndian.AppendUint64(r, n)
	}
	return r
}

func decodeDigest(r []byte) (d journal.Digest) {
	for i := range d {
		d[i] = binary.LittleEndian.Uint64(r[8*i:])
	}
	return d
}

// corrupt is journal.ErrCorrupt with what was seen, which is never a payload.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", journal.ErrCorrupt, fmt.Sprintf(format, args...))
}
