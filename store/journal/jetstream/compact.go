package jetstream

import (
	"context"
	"fmt"
	"iter"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// Compact is that of [journal.Journal]. If more than half of the stream is of no
// use any more, it appends all that stands once again, then that what is before
// is not needed, and lets the servers remove it. So it costs as much as what
// stands, and no more often than as much again was replaced. If it ends early,
// nothing is lost but room.
func (j *owned) Compact(ctx context.Context, live iter.Seq[journal.Change]) error {
	if err := j.usable(ctx); err != nil {
		return err
	}
	info, err := j.info(ctx)
	if err != nil {
		return fmt.Errorf("jetstream: stream %s: %w", j.name, err)
	}
	if !worthwhile(info, live) {
		return j.purge(ctx, info)
	}
	from := j.last + 1
	if err := j.copyAll(ctx, live); err != nil {
		return err
	}
	before := j.horizon
	j.horizon = from
	if err := j.write(ctx, record{kind: kindHorizon, position: j.Position, id: newID()}); err != nil {
		j.horizon = before
		return err
	}
	return j.purge(ctx, info)
}

// info asks the servers how the stream stands.
func (j *owned) info(ctx context.Context) (info *js.StreamInfo, err error) {
	err = j.engine.persist(ctx, func(ctx context.Context) (err error) {
		info, err = j.stream.Info(ctx)
		return err
	})
	return info, err
}

// leastWaste is how much must be of no use before a stream is compacted.
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

// copyAll appends all that stands.
func (j *owned) copyAll(ctx context.Context, live iter.Seq[journal.Change]) error {
	var body []byte
	flush := func() error {
		if len(body) == 0 {
			return nil
		}
		defer func() { body = body[:0] }()
		return j.write(ctx, record{kind: kindCopy, position: j.Position, id: newID(), body: body})
	}
	most := int(min(copyBytes, j.Limits().BatchBytes))
	for c := range live {
		if len(body) > 0 && len(body)+len(c.Key)+len(c.Value) > most {
			if err := flush(); err != nil {
				return err
			}
		}
		body = appendChange(body, c)
	}
	return flush()
}

// purge lets the servers remove what is before the horizon.
func (j *owned) purge(ctx context.Context, info *js.StreamInfo) error {
	if info.State.FirstSeq >= j.horizon {
		return nil
	}
	err := j.engine.persist(ctx, func(ctx context.Context) error {
		return j.stream.Purge(ctx, js.WithPurgeSequence(j.horizon))
	})
	if err != nil {
		return fmt.Errorf("jetstream: stream %s: what is not needed any more was not removed: %w", j.name, err)
	}
	return nil
}
