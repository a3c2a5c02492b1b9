package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// ask asks the leader of the stream for the bytes at a sequence. The client of
// package nats would ask any of the servers, and one that is behind does not know
// the latest.
func (j *owned) ask(ctx context.Context, sequence uint64) ([]byte, error) {
	question, err := json.Marshal(map[string]uint64{"seq": sequence})
	if err != nil {
		return nil, err
	}
	answer, err := j.engine.conn.RequestWithContext(ctx, j.engine.api+"STREAM.MSG.GET."+j.name, question)
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
	case got.Error != nil && got.Error.ErrorCode == js.JSErrCodeMessageNotFound:
		return nil, js.ErrMsgNotFound
	case got.Error != nil:
		return nil, got.Error
	case got.Message == nil:
		return nil, js.ErrInvalidJetStreamResponse
	}
	return got.Message.Data, nil
}

// maxBad is how often the leader is asked for a record that it has not, or has
// damaged, until it counts as lost: another may lead by then.
const maxBad = 10

// record reads one record, which is known to have been stored.
func (j *owned) record(ctx context.Context, sequence uint64) (r record, data []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, j.engine.options.Patience)
	defer cancel()
	bad := 0
	for pause := newPause(); ; {
		err = j.engine.once(ctx, func(ctx context.Context) (err error) {
			if data, err = j.ask(ctx, sequence); err == nil {
				r, err = decode(data)
			}
			return err
		})
		missing := errors.Is(err, js.ErrMsgNotFound)
		if missing || errors.Is(err, journal.ErrCorrupt) {
			bad++
		}
		switch {
		case err == nil:
			return r, data, nil
		case missing && j.overtaken(ctx, sequence):
			return r, nil, fmt.Errorf("%w: sequence %d was compacted away", journal.ErrFenced, sequence)
		case bad < maxBad && !errors.Is(err, journal.ErrNewerFormat) && pause.wait(ctx):
		case missing:
			return r, nil, fmt.Errorf("%w: the leader of the stream has no record at sequence %d", journal.ErrCorrupt, sequence)
		default:
			return r, nil, fmt.Errorf("sequence %d: %w", sequence, err)
		}
	}
}

// overtaken reports whether a record is missing because another owner, who has
// appended since, does not need it any more.
func (j *owned) overtaken(ctx context.Context, sequence uint64) (overtaken bool) {
	_ = j.engine.once(ctx, func(ctx context.Context) error {
		info, err := j.stream.Info(ctx)
		overtaken = err == nil && info.State.FirstSeq > sequence && info.State.LastSeq > j.last
		return err
	})
	return overtaken
}
