package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// store stores a batch. Until it knows the outcome, or patience ends, it tries again.
// That is safe, whatever came of the tries before: all have the same condition, and
// the first to commit ends it for the others, whenever they arrive.
func (p *partition) store(ctx context.Context, w *write) error {
	err := p.try(ctx, w)
	if err == nil || final(err) {
		return err
	}
	first := err
	ctx, cancel := context.WithTimeout(ctx, p.engine.patience)
	defer cancel()
	for pause := 10 * time.Millisecond; wait(ctx, pause); pause = min(2*pause, time.Second) {
		if err := p.try(ctx, w); err == nil || final(err) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", journal.ErrAmbiguous, first)
}

// try tries once. After an error that is not final another try may succeed.
func (p *partition) try(ctx context.Context, w *write) error {
	err := p.attempt(ctx, w)
	refused, known := errors.AsType[refusal](err)
	switch {
	case err == nil:
		return nil
	case known && !w.uncertain && refused.lasting():
		return fmt.Errorf("%w: %w", journal.ErrRejected, refused)
	case !errors.Is(err, errUnmatched):
		w.uncertain = w.uncertain || !known && !errors.Is(err, errUnsent)
		return err
	}
	seen, err := p.look(ctx)
	if err != nil {
		return err
	}
	return p.judge(w, seen)
}

// final reports whether an error tells the outcome, as far as anybody can.
func final(err error) bool {
	return errors.Is(err, journal.ErrRejected) || errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrAmbiguous) || errors.Is(err, journal.ErrCorrupt)
}

// wait waits, and reports whether ctx is still alive.
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

// A sight is what a partition's row says of its holders and its last batch.
type sight struct {
	holder, previous [16]byte // previous is the holder before
	index, began     uint64   // began is the index at which the holder came
	batch            [16]byte // the last one
}

// look reads the partition's row in a transaction that writes. What it reads may be
// committed on this server and not on the standbys, but once its own commit is durable
// there, so is that.
func (p *partition) look(ctx context.Context) (s sight, err error) {
	var there bool
	b := p.engine.begin()
	b.Queue(p.engine.sql.look, p.id).
		QueryRow(found(&there, &s.holder, &s.previous, &s.index, &s.began, &s.batch))
	err = p.engine.transact(ctx, b)
	if err == nil && !there {
		err = errRowGone
	}
	return s, err
}

// judge says whether the batch was stored, by what a try saw that found the
// partition's row not as this journal left it.
func (p *partition) judge(w *write, s sight) error {
	last := p.head.Index
	mine := s.holder == p.holder
	at := s.began // the index at which this journal was fenced
	if mine {
		at = s.index
	}
	switch {
	case at < last || mine && s.index > last && s.batch != w.id:
		return corrupt("the partition's row is not as it was acknowledged: the server has lost batches, or somebody has changed it")
	case mine && at == last:
		return errUnmatched // another try may match
	case mine && at == last+1:
		return nil
	case at == last || !w.uncertain:
		return journal.ErrFenced
	case s.previous == p.holder && at == last+1:
		return nil // just before the next holder came
	case s.index == last+1 && s.batch == w.id:
		return nil // and more holders have come since
	}
	return fmt.Errorf("%w: other holders have come and appended since", journal.ErrAmbiguous)
}
