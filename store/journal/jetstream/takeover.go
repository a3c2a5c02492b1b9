package jetstream

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// takeOver writes the entry of a new epoch behind the last entry. From then on no
// entry of an earlier holder can follow. A holder at work always knows the last
// entry sooner, so it is told to let go.
func (p *partition) takeOver(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.engine.options.Patience)
	defer cancel()
	for pause := newPause(); ; {
		err := p.tail(ctx)
		if err == nil {
			p.Epoch++
			err = p.write(ctx, entry{kind: kindEpoch, position: p.Position, id: newID(), body: p.identity.encode()})
		}
		switch {
		case errors.Is(err, journal.ErrRejected):
			if err := p.makeRoom(ctx, err); err != nil {
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
func (p *partition) makeRoom(ctx context.Context, refused error) error {
	if p.space.first >= p.stored {
		full := p.space.full(p.name, p.space.toOpen())
		if full.cause = refused; hasCode(refused, []js.ErrorCode{accountFull}) {
			full.Limit, full.Missing, full.unit = accountStorage, max(full.Missing, openRoom), "bytes"
		}
		return full
	}
	return p.purge(ctx, p.stored)
}

// tail reads the last entry. Nothing is written before it is known to be this
// partition's.
func (p *partition) tail(ctx context.Context) error {
	info, err := p.info(ctx)
	if err != nil {
		return err
	}
	p.noteSpace(info)
	p.askAccount(ctx, askEvery)
	if p.last = info.State.LastSeq; p.last == 0 {
		p.horizon, p.stored = 1, 1
		return nil
	}
	r, data, err := p.entry(ctx, p.last, p.last)
	if errors.Is(err, ErrFormer) {
		return fmt.Errorf("%w; under this name it was another partition's: let that one be carried over, and delete the stream", err)
	}
	if err != nil {
		return err
	}
	if r.owner != p.owner && !p.carrying {
		return p.foreign(ctx, r)
	}
	if r.position.Epoch == 0 && r.owner != (owner{}) && !p.carrying {
		return fmt.Errorf("%w: it was not carried over to the end, call Engine.Carry again", ErrFormer)
	}
	p.Position, p.horizon, p.stored, p.previous = r.position, r.horizon, r.horizon, sha256.Sum256(data)
	return nil
}
