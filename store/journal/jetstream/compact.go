package jetstream

import (
	"context"
	"fmt"
	"iter"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// Compact implements [journal.Journal]. If more than half of the stream is waste, it
// appends all that stands again, then an entry saying that nothing before is needed,
// and lets the servers remove that. So it writes as much as stands, once as much was
// replaced. If it ends early, only room is lost.
func (p *partition) Compact(ctx context.Context, live iter.Seq[journal.Change]) error {
	if err := p.usable(ctx); err != nil {
		return err
	}
	info, err := p.info(ctx)
	if err != nil {
		return fmt.Errorf("jetstream: stream %s: %w", p.name, err)
	}
	if worthwhile(info, live) {
		if err := p.copyAll(ctx, live); err != nil {
			return err
		}
	}
	return p.purge(ctx, info)
}

// info asks for the state of the stream until a server answers.
func (p *partition) info(ctx context.Context) (*js.StreamInfo, error) {
	return persist(ctx, p.engine, p.askInfo)
}

// leastWaste is how many bytes of waste make compacting worthwhile.
const leastWaste = 1 << 20

// worthwhile reports whether what stands is less than half of the stream.
func worthwhile(info *js.StreamInfo, live iter.Seq[journal.Change]) bool {
	standing := int64(leastWaste)
	for c := range live {
		standing += 2 * int64(len(c.Key)+len(c.Value))
	}
	return int64(info.State.Bytes) > standing
}

const copyBytes = 4 << 20

// copyAll appends all that stands, in entries of about copyBytes, and moves the horizon
// there.
func (p *partition) copyAll(ctx context.Context, live iter.Seq[journal.Change]) error {
	from, before := p.last+1, p.horizon
	most := int(min(copyBytes, p.Limits().BatchBytes))
	var body []byte
	flush := func() (err error) {
		if len(body) > 0 {
			err = p.write(ctx, entry{kind: kindCopy, position: p.Position, id: newID(), body: body})
			body = body[:0]
		}
		return err
	}
	for c := range live {
		if len(body)+len(c.Key)+len(c.Value) > most {
			if err := flush(); err != nil {
				return err
			}
		}
		body = appendChange(body, c)
	}
	if err := flush(); err != nil {
		return err
	}
	p.horizon = from
	err := p.write(ctx, entry{kind: kindHorizon, position: p.Position, id: newID()})
	if err != nil {
		p.horizon = before
	}
	return err
}

// purge lets the servers remove what is before the horizon.
func (p *partition) purge(ctx context.Context, info *js.StreamInfo) error {
	if info.State.FirstSeq >= p.horizon {
		return nil
	}
	_, err := persist(ctx, p.engine, func(ctx context.Context) (any, error) {
		return nil, p.stream.Purge(ctx, js.WithPurgeSequence(p.horizon))
	})
	if err != nil {
		return fmt.Errorf("jetstream: stream %s: removing what is no longer needed: %w", p.name, err)
	}
	return nil
}
