package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/loopstore/loopstore/store/journal"
)

// store stores a batch, and finds out what came of it: until it is known, or
// patience ends, it does the same again. That is safe whatever has become of
// the tries before. All of them have the same condition, which the first that is
// committed ends for the others, whenever they come.
func (j *owned) store(ctx context.Context, w *write) error {
	err := j.try(ctx, w)
	if err == nil || final(err) {
		return err
	}
	first := err
	w.uncertain = true
	ctx, cancel := context.WithTimeout(ctx, j.engine.patience)
	defer cancel()
	for pause := 10 * time.Millisecond; wait(ctx, pause); pause = min(2*pause, time.Second) {
		if err := j.try(ctx, w); err == nil || final(err) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", journal.ErrAmbiguous, first)
}

// try tries once. An error that is not final leaves it open what came of it.
func (j *owned) try(ctx context.Context, w *write) error {
	err := j.attempt(ctx, w)
	if !errors.Is(err, errUnmatched) {
		return err
	}
	seen, err := j.look(ctx)
	if err != nil {
		return err
	}
	return j.judge(w, seen)
}

// final reports whether an error says what came of the batch, as far as can be
// known.
func final(err error) bool {
	return errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrAmbiguous) || errors.Is(err, journal.ErrCorrupt)
}

// wait reports whether ctx lets it wait so long.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A sight is what a partition says of its owners and its last batch.
type sight struct {
	owner, previous [16]byte // previous is the owner before
	index, began    uint64   // began is the index at which the owner came
	batch           [16]byte // the last one
}

// look looks at the partition, by a transaction that writes: what it shows may
// be committed here and not on the standbys, but when a later commit is durable
// there, so is that.
func (j *owned) look(ctx context.Context) (s sight, err error) {
	b := j.engine.begin()
	b.Queue(j.engine.sql.look, j.id).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&s.owner, &s.previous, &s.index, &s.began, &s.batch)
		if errors.Is(err, pgx.ErrNoRows) {
			return corrupt("the partition is gone")
		}
		return err
	})
	return s, j.engine.transact(ctx, b)
}

// judge says whether the batch was stored, by a look at the partition after a
// try that found it not as this journal left it.
func (j *owned) judge(w *write, s sight) error {
	last := j.head.Index
	mine := s.owner == j.owner
	at := s.began // the index at which this ownership had ended
	if mine {
		at = s.index
	}
	switch {
	case at < last || mine && s.index > last && s.batch != w.id:
		return corrupt("the server has lost batches that it had acknowledged")
	case mine && at == last:
		return errUnmatched // another try may match
	case mine && at == last+1:
		return nil
	case at == last || !w.uncertain:
		return journal.ErrFenced
	case s.previous == j.owner && at == last+1:
		return nil // just before the other owner came
	case s.index == last+1 && s.batch == w.id:
		return nil // and there were more owners since
	}
	return fmt.Errorf("%w: other owners have come and appended since", journal.ErrAmbiguous)
}
