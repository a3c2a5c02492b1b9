package jetstream

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/loopstore/loopstore/store/journal"
)

// takeOver writes the record of a new epoch behind the last record. From then on
// nobody else's record can follow that they knew to be the last. An owner at work
// always knows the last one sooner: it is told to let go.
func (j *owned) takeOver(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, j.engine.options.Patience)
	defer cancel()
	for pause := newPause(); ; {
		err := j.tail(ctx)
		if err == nil {
			j.Epoch++
			err = j.write(ctx, record{kind: kindEpoch, position: j.Position, id: newID()})
		}
		if err == nil || !errors.Is(err, journal.ErrFenced) {
			return err
		}
		j.ended = nil // others get in between: it is tried again behind them
		j.announce()
		if !pause.wait(ctx) {
			return err
		}
	}
}

// tail reads the last record.
func (j *owned) tail(ctx context.Context) error {
	info, err := j.info(ctx)
	if err != nil {
		return err
	}
	if j.last = info.State.LastSeq; j.last == 0 {
		j.horizon = 1
		return nil
	}
	r, data, err := j.record(ctx, j.last)
	if err != nil {
		return err
	}
	j.Position, j.horizon, j.previous = r.position, r.horizon, sha256.Sum256(data)
	return nil
}
