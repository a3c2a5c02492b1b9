package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// ask asks the leader of the stream for the data at a sequence, once. The nats
// client would ask any server, and one that lags lacks the latest.
func (p *partition) ask(ctx context.Context, sequence uint64) ([]byte, error) {
	ctx, cancel := p.engine.within(ctx)
	defer cancel()
	answer, err := p.engine.conn.RequestWithContext(ctx, p.engine.api+"STREAM.MSG.GET."+p.name, fmt.Appendf(nil, `{"seq":%d}`, sequence))
	if err != nil {
		return nil, err
	}
	var got struct {
		Error   *js.APIError `json:"error"`
		Message *struct {
			Data []byte `json:"data"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(answer.Data, &got); {
	case err != nil:
		return nil, err
	case got.Error != nil:
		return nil, got.Error // for a missing message errors.Is finds js.ErrMsgNotFound
	case got.Message == nil:
		return nil, js.ErrInvalidJetStreamResponse
	}
	return got.Message.Data, nil
}

// state asks once for the state of the stream. It is zero if nobody answers.
func (p *partition) state(ctx context.Context) (s js.StreamState) {
	if info, err := once(ctx, p.engine, p.askInfo); err == nil {
		s = info.State
	}
	return s
}

// maxBad is how often the leader may lack an entry, or have it damaged, until the
// entry counts as lost. Another server may lead by then.
const maxBad = 10

// entry reads an entry that is known to have been stored.
func (p *partition) entry(ctx context.Context, sequence uint64) (r entry, data []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.engine.options.Patience)
	defer cancel()
	bad := 0
	for pause := newPause(); ; {
		if data, err = p.ask(ctx, sequence); err == nil {
			r, err = decode(data)
		}
		missing := errors.Is(err, js.ErrMsgNotFound)
		if missing || errors.Is(err, journal.ErrCorrupt) {
			bad++
		}
		switch {
		case err == nil:
			return r, data, nil
		case missing && p.overtaken(ctx, sequence):
			return r, nil, fmt.Errorf("%w: sequence %d was compacted away", journal.ErrFenced, sequence)
		case bad < maxBad && !errors.Is(err, journal.ErrNewerFormat) && pause.wait(ctx):
		case missing:
			return r, nil, fmt.Errorf("%w: the stream's leader has no entry at sequence %d", journal.ErrCorrupt, sequence)
		default:
			return r, nil, fmt.Errorf("sequence %d: %w", sequence, err)
		}
	}
}

// overtaken reports whether an entry is missing because a later holder, who has
// appended since, no longer needs it.
func (p *partition) overtaken(ctx context.Context, sequence uint64) bool {
	s := p.state(ctx)
	return s.FirstSeq > sequence && s.LastSeq > p.last
}
