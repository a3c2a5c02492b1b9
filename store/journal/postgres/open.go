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
	b := p.engine.begin()
	b.Queue(p.engine.sql.take, p.id, []byte(p.name), p.holder, [16]byte{}, encodeDigest(journal.Digest{})).
		QueryRow(func(row pgx.Row) error { return row.Scan(&p.head.Epoch) })
	if err := p.engine.transact(ctx, b); err != nil {
		return err
	}
	return p.read(ctx, emit)
}

// read emits what stands at one moment, at which this is the holder.
func (p *partition) read(ctx context.Context, emit func(journal.Change) error) error {
	conn, err := p.engine.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes the connection if a transaction is open
	b := &pgx.Batch{}
	b.Queue(beginReading)
	b.Queue(p.engine.sql.patient)
	b.Queue(p.engine.sql.head, p.id).QueryRow(p.readHead)
	if err := p.engine.send(ctx, conn, b); err != nil {
		return err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(p.engine.timeout, func() { cancel(errStalled) })
	defer watchdog.Stop()
	var found journal.Head
	b = &pgx.Batch{}
	b.Queue(p.engine.sql.records, p.id).Query(func(rows pgx.Rows) error {
		whole := false
		defer func() {
			if !whole {
				cancel(nil) // so that the server stops sending
			}
		}()
		err := p.readRecords(rows, &found, watchdog, emit)
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
	case found.Keys != p.head.Keys || found.Digest != p.head.Digest:
		return corrupt("its %d records do not match its head, which counts %d", found.Keys, p.head.Keys)
	}
	return nil
}

func (p *partition) readHead(row pgx.Row) error {
	var holder [16]byte
	var digest []byte
	if err := row.Scan(&holder, &p.head.Epoch, &p.head.Index, &p.head.Keys, &digest); err != nil {
		return err
	}
	if holder != p.holder {
		return journal.ErrFenced
	}
	if len(digest) != binary.Size(p.head.Digest) {
		return corrupt("its head has a digest of %d bytes", len(digest))
	}
	_, err := binary.Decode(digest, binary.LittleEndian, &p.head.Digest)
	return err
}

// readRecords emits the records, and adds them to found. The watchdog does not watch
// emit.
func (p *partition) readRecords(rows pgx.Rows, found *journal.Head, watchdog *time.Timer, emit func(journal.Change) error) error {
	var key, value pgtype.DriverBytes
	for rows.Next() {
		watchdog.Stop()
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		digest := journal.DigestOf(key, value)
		found.Keys++
		found.Digest.Plus(digest)
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
