package jetstream

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/loopstore/loopstore/store/journal"
)

// takeOver writes the entry of a new epoch behind the last entry. From then on no
// entry of an earlier holder can follow. A holder at work always knows the last
// entry sooner, so it is told to let go.
func (p *partition) takeOver(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.engine.options.Patience)
	defer cancel()
	for pause := newPause(); ; {
		first, err := p.tail(ctx)
		if err == nil {
			p.Epoch++
			err = p.write(ctx, entry{kind: kindEpoch, position: p.Position, id: newID()})
		}
		switch {
		case errors.Is(err, journal.ErrRejected):
			if err := p.makeRoom(ctx, first, err); err != nil {
				return err
			}
		case errors.Is(err, journal.ErrFenced): // another entry came in between: try again behind it
			p.ended = nil
			p.announce()
			if !pause.wait(ctx) {
				return err
			}
		default:
			return err
		}
	}
}

// makeRoom gives room back where the entry of an epoch finds none, or returns why it
// cannot. Whatever the servers still hold before the horizon needs no holder.
func (p *partition) makeRoom(ctx context.Context, first uint64, refused error) error {
	if first >= p.stored {
		full := p.space.full(p.name, p.space.toOpen())
		full.cause = refused
		return full
	}
	return p.purge(ctx, p.stored)
}

// tail reads the last entry, and returns the sequence of the first.
func (p *partition) tail(ctx context.Context) (first uint64, err error) {
	info, err := p.info(ctx)
	if err != nil {
		return 0, err
	}
	p.noteSpace(info)
	p.askAccount(ctx, askEvery)
	if p.last = info.State.LastSeq; p.last == 0 {
		p.horizon, p.stored = 1, 1
		return 1, nil
	}
	r, data, err := p.entry(ctx, p.last, p.last)
	if err != nil {
		return 0, err
	}
	p.Position, p.horizon, p.stored, p.previous = r.position, r.horizon, r.horizon, sha256.Sum256(data)
	return info.State.FirstSeq, nil
}
