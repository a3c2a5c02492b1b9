package jetstream

import (
	"context"
	"errors"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// ask asks the leader of the stream for the data at a sequence, once.
func (p *partition) ask(ctx context.Context, sequence uint64) ([]byte, error) {
	return p.engine.at(ctx, p.name, sequence)
}

// info asks for the state of the stream until a server answers.
func (p *partition) info(ctx context.Context) (*js.StreamInfo, error) {
	return persist(ctx, p.engine, p.askInfo)
}

// state asks once for the state of the stream. It is zero if nobody answers.
func (p *partition) state(ctx context.Context) (s js.StreamState) {
	if info, err := p.askInfo(ctx); err == nil {
		s = info.State
	}
	return s
}

// maxBad is how often the leader may lack an entry, or have it damaged, until the
// entry counts as lost. Another server may lead by then.
const maxBad = 10

// entry reads an entry that is known to have been stored, as those up to last are.
func (p *partition) entry(ctx context.Context, sequence, last uint64) (r entry, data []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.engine.options.Patience)
	defer cancel()
	bad := 0
	for pause := newPause(); ; {
		if data, err = p.ask(ctx, sequence); err == nil {
			r, err = p.decode(data)
		}
		missing := errors.Is(err, js.ErrMsgNotFound)
		if missing || errors.Is(err, journal.ErrCorrupt) {
			bad++
		}
		switch {
		case err == nil:
			return r, data, nil
		case missing && p.overtaken(ctx, sequence, last):
			return r, nil, fmt.Errorf("%w: sequence %d was compacted away", journal.ErrFenced, sequence)
		case bad < maxBad && !errors.Is(err, journal.ErrNewerFormat) && !errors.Is(err, ErrFormer) && pause.wait(ctx):
		case missing:
			return r, nil, fmt.Errorf("%w: the stream's leader has no entry at sequence %d", journal.ErrCorrupt, sequence)
		default:
			return r, nil, fmt.Errorf("sequence %d: %w", sequence, err)
		}
	}
}

// overtaken reports whether an entry is missing because a later holder, who has
// appended since, no longer needs it.
func (p *partition) overtaken(ctx context.Context, sequence, last uint64) bool {
	s := p.state(ctx)
	return s.FirstSeq > sequence && s.LastSeq > last
}
