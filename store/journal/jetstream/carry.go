package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// Carry makes the journal in a stream that of a partition, when Open says ErrFormer or
// ErrForeign and names the stream. All that use it must have stopped.
//
// A journal in the first format is sealed for ever, so that nobody appends to it any
// more, and then copied to the partition's stream, which must not have a journal yet. The
// sealed stream stays, and may be deleted when the partition has served. Positions begin
// anew. A journal that is in the partition's own stream already, because it was restored
// there or the domain has another name now, is given its subject and a new epoch.
//
// If Carry fails Carry can be called again, unless the partition can be opened: then all of
// it was carried over.
func (e *Engine) Carry(ctx context.Context, stream, partition string) error {
	name, err := e.StreamName(partition)
	if err != nil {
		return err
	}
	if err := e.carry(ctx, stream, name, partition); err != nil {
		return fmt.Errorf("jetstream: carrying stream %s over to %s: %w", stream, name, err)
	}
	return nil
}

func (e *Engine) carry(ctx context.Context, stream, name, partition string) error {
	if err := e.settle(ctx); err != nil {
		return err
	}
	if stream == name {
		return e.adopt(ctx, name, partition)
	}
	info, err := e.findFormer(ctx, stream, name)
	if err != nil {
		return err
	}
	p, err := e.claim(ctx, name, partition)
	if err != nil {
		return err
	}
	former, err := e.seal(ctx, info, name)
	if err != nil {
		return err
	}
	if err := p.copyFrom(ctx, former); err != nil {
		return err
	}
	if now, err := former.info(ctx); err != nil || now.State.LastSeq != former.last {
		return errors.Join(errors.New("something was still appended to the old stream, call Carry again"), err)
	}
	p.Epoch++ // directly behind the last copy: another Carry fences this one
	return p.write(ctx, entry{kind: kindEpoch, position: p.Position, id: newID(), body: p.identity.encode()})
}

// claim begins a Carry behind whatever an earlier one has left, which is no longer needed,
// and which it fences. From then on the partition cannot be opened before all is carried
// over. Nothing is deleted: a late request to delete could meet a journal.
func (e *Engine) claim(ctx context.Context, name, partition string) (*partition, error) {
	info, _, err := e.create(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := refusal(e.judge(info)); err != nil {
		return nil, err
	}
	p, err := e.attach(ctx, info, e.identity(partition))
	if err != nil {
		return nil, err
	}
	p.carrying = true
	if err := p.tail(ctx); err != nil {
		return nil, err
	}
	if p.Epoch > 0 {
		return nil, errors.New("the partition has a journal already, nothing was carried over")
	}
	p.horizon = p.last + 1
	return p, p.write(ctx, entry{kind: kindHorizon, id: newID()})
}

// adopt makes the journal that is in a partition's stream the partition's.
func (e *Engine) adopt(ctx context.Context, name, partition string) error {
	info, err := e.existing(ctx, name)
	if err != nil {
		return err
	}
	if info == nil || info.State.LastSeq == 0 {
		return errors.New("there is no journal in it")
	}
	p, err := e.attach(ctx, info, e.identity(partition))
	if err != nil {
		return err
	}
	p.carrying = true
	if err := p.tail(ctx); err != nil {
		return err
	}
	if p.Epoch == 0 {
		return errors.New("it was not carried over to the end")
	}
	if c := e.config(name); !slices.Equal(info.Config.Subjects, c.Subjects) {
		own := info.Config
		own.Subjects = c.Subjects
		if _, err := persist(ctx, e, func(ctx context.Context) (js.Stream, error) { return e.js.UpdateStream(ctx, own) }); err != nil {
			return fmt.Errorf("giving it its subject: %w", err)
		}
	}
	return p.takeOver(ctx)
}

// carriedTo begins the description of a stream that was sealed: what follows is the name
// of the one that has its journal now.
const carriedTo = description + ", carried over to "

// findFormer finds a journal in the first format, which was not carried over to another
// stream.
func (e *Engine) findFormer(ctx context.Context, stream, to string) (*streamInfo, error) {
	info, err := e.existing(ctx, stream)
	if err != nil {
		return nil, err
	}
	if info == nil {
		return nil, errors.New("there is no such stream")
	}
	is, err := persist(ctx, e, func(ctx context.Context) (bool, error) { return e.isFormer(ctx, info) })
	if err != nil {
		return nil, err
	}
	if !is {
		return nil, errors.New("it is no journal in the first format")
	}
	if is, marked := strings.CutPrefix(info.Config.Description, carriedTo); marked && is != to {
		return nil, fmt.Errorf("it was carried over to stream %s already, nothing was changed", is)
	}
	return info, nil
}

// seal seals a journal in the first format, and finds its last entry.
func (e *Engine) seal(ctx context.Context, info *streamInfo, to string) (*partition, error) {
	if !info.Config.Sealed {
		sealed := info.Config
		sealed.Sealed, sealed.Description = true, carriedTo+to
		sealed.DenyDelete, sealed.DenyPurge = true, true // as sealing makes them: it may be asked for again
		if _, err := persist(ctx, e, func(ctx context.Context) (js.Stream, error) { return e.js.UpdateStream(ctx, sealed) }); err != nil {
			return nil, fmt.Errorf("sealing it: %w", err)
		}
	}
	p, err := e.attach(ctx, info, identity{})
	if err != nil {
		return nil, err
	}
	p.owner, p.decode = owner{}, decodeFormer
	return p, p.tail(ctx)
}

// copyFrom appends all that stands in another journal.
func (p *partition) copyFrom(ctx context.Context, former *partition) error {
	if former.last == 0 {
		return nil
	}
	most := int(min(4<<20, p.Limits().BatchBytes))
	var body []byte
	flush := func() error {
		if len(body) == 0 {
			return nil
		}
		err := p.write(ctx, entry{kind: kindCopy, position: p.Position, id: newID(), body: body})
		body = body[:0]
		return err
	}
	err := former.replay(ctx, func(c journal.Change) error {
		if len(body)+len(c.Key)+len(c.Value) > most {
			if err := flush(); err != nil {
				return err
			}
		}
		body = appendChange(body, c)
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}
