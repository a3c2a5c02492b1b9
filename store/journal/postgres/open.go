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

// An emitError is an error that emit returned.
type emitError struct{ error }

// errStalled ends a read when nothing has come for Options.Timeout.
var errStalled = errors.New("the server has sent nothing for too long")

// open takes the partition over, and emits and checks what stands. Once the commit of
// the takeover is durable, so is all that earlier holders committed, and whatever they
// try from then on finds another holder.
func (p *partition) open(ctx context.Context, emit func(journal.Change) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := p.engine.ready(ctx); err != nil {
		return err
	}
	if err := p.take(ctx); err != nil {
		return err
	}
	return p.read(ctx, emit)
}

// take makes this the holder, unless the partition's row is another name's.
func (p *partition) take(ctx context.Context) error {
	var taken bool
	b := p.engine.begin()
	b.Queue(p.engine.sql.take, p.id, []byte(p.name), p.holder, [16]byte{}, encodeDigest(journal.Digest{})).
		QueryRow(found(&taken, &p.head.Epoch))
	if err := p.engine.transact(ctx, b); err != nil {
		return err
	}
	if !taken {
		return errOtherName
	}
	return nil
}

var (
	errOtherName = corrupt("the row that belongs to this name has another one")
	errRowGone   = corrupt("the partition's row is gone")
)

// found returns a function that scans a row, and says whether there is one. What that
// means is not known before the whole transaction has ended well.
func found(there *bool, into ...any) func(pgx.Row) error {
	return func(row pgx.Row) error {
		err := row.Scan(into...)
		*there = err == nil
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	}
}

// read emits what stands at one moment, at which this is the holder.
func (p *partition) read(ctx context.Context, emit func(journal.Change) error) error {
	return p.engine.within(ctx, func(tx *transaction) error {
		if err := p.readHead(ctx, tx); err != nil {
			return err
		}
		found, err := p.readRecords(ctx, tx, emit)
		if err == nil && (found.Keys != p.head.Keys || found.Digest != p.head.Digest) {
			err = corrupt("its %d records do not match its head, which counts %d", found.Keys, p.head.Keys)
		}
		return err
	})
}

// readHead begins the transaction that reads, and reads the partition's row.
func (p *partition) readHead(ctx context.Context, tx *transaction) error {
	var there bool
	var name, digest []byte
	var holder [16]byte
	b := &pgx.Batch{}
	b.Queue(beginReading)
	b.Queue(p.engine.sql.patient)
	b.Queue(p.engine.sql.head, p.id).
		QueryRow(found(&there, &name, &holder, &p.head.Epoch, &p.head.Index, &p.head.Keys, &digest))
	if err := tx.send(ctx, b); err != nil {
		return err
	}
	switch {
	case !there:
		return errRowGone
	case string(name) != p.name:
		return errOtherName
	case holder != p.holder:
		return journal.ErrFenced
	case len(digest) != binary.Size(p.head.Digest):
		return corrupt("its head has a digest of %d bytes", len(digest))
	}
	_, err := binary.Decode(digest, binary.LittleEndian, &p.head.Digest)
	return err
}

// readRecords emits the records, and returns a head that counts them. What it has
// emitted is what stands only if it returns no error.
func (p *partition) readRecords(ctx context.Context, tx *transaction, emit func(journal.Change) error) (counted journal.Head, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(p.engine.timeout, func() { cancel(errStalled) })
	defer watchdog.Stop()
	b := &pgx.Batch{}
	b.Queue(p.engine.sql.records, p.id).Query(func(rows pgx.Rows) error {
		whole := false
		defer func() {
			if !whole {
				cancel(nil) // so that the server stops sending
			}
		}()
		err := p.emit(rows, &counted, watchdog, emit)
		whole = err == nil
		return err
	})
	b.Queue("commit")
	err = tx.sendUnbounded(ctx, b)
	if context.Cause(ctx) == errStalled {
		err = fmt.Errorf("%w: %s", errStalled, p.engine.timeout)
	}
	return counted, err
}

// emit emits the records, and counts them. The watchdog does not watch emit.
func (p *partition) emit(rows pgx.Rows, counted *journal.Head, watchdog *time.Timer, emit func(journal.Change) error) error {
	var key, value pgtype.DriverBytes
	for rows.Next() {
		watchdog.Stop()
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		digest := journal.DigestOf(key, value)
		counted.Keys++
		counted.Digest.Plus(digest)
		p.digests[idOf([]byte(key))] = digest
		if err := emit(journal.Change{Key: key, Value: value}); err != nil {
			return emitError{err}
		}
		watchdog.Reset(p.engine.timeout)
	}
	return rows.Err()
}

func encodeDigest(d journal.Digest) []byte {
	r, _ := binary.Append(nil, binary.LittleEndian, d)
	return r
}

// corrupt returns journal.ErrCorrupt with what was found, never with a payload.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", journal.ErrCorrupt, fmt.Sprintf(format, args...))
}
