package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/loopstore/loopstore/store/journal"
)

// An attempt is to store a record, whose parts are messages, directly behind a
// sequence.
type attempt struct {
	journal  *owned
	id       [16]byte
	expected uint64 // the last sequence before
	messages []*nats.Msg
	digest   digest // of the last of them
}

// settle publishes the messages until it knows what came of them. To publish them
// again is harmless: the servers take one record behind a sequence. So it ends
// with ours there, or another's, and only patience leaves it open.
//
// That the servers speak of a conflict settles nothing: it may be with our own
// message that came through before, or with one that goes when leaders change.
func (a *attempt) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.journal.engine.options.Patience)
	defer cancel()
	refused := true // no message of ours can still be under way
	for pause := newPause(); ; {
		err := a.publish(ctx)
		if err == nil {
			return nil
		}
		if reason, ok := rejects(err); ok && refused {
			return fmt.Errorf("%w: %s: %w", journal.ErrRejected, reason, err)
		}
		refused = refused && conflicts(err)
		switch found := a.look(ctx); {
		case found == ours:
			return nil
		case found == another || found == purged && refused:
			return fmt.Errorf("%w: stream %s has another record at sequence %d", journal.ErrFenced, a.journal.name, a.expected+1)
		case found == purged || errors.Is(err, nats.ErrConnectionClosed) || !pause.wait(ctx):
			return fmt.Errorf("%w: stream %s, sequence %d: %w", journal.ErrAmbiguous, a.journal.name, a.expected+1, err)
		}
	}
}

// publish publishes the messages, all or none of which are stored.
func (a *attempt) publish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout())
	defer cancel()
	for _, m := range a.messages {
		m.Header, m.Reply = nats.Header{}, ""
	}
	a.messages[0].Header.Set(js.ExpectedLastSeqHeader, strconv.FormatUint(a.expected, 10))
	a.messages[0].Header.Set(js.ExpectedStreamHeader, a.journal.name)
	if len(a.messages) == 1 {
		_, err := a.journal.engine.js.PublishMsg(ctx, a.messages[0], js.WithRetryAttempts(0))
		return err
	}
	_, err := jetstreamext.PublishMsgBatch(ctx, a.journal.engine.js, a.messages, jetstreamext.BatchFlowControl{
		AckFirst: true, AckEvery: ackEvery, AckTimeout: a.journal.engine.options.Timeout,
	})
	return err
}

const (
	ackEvery   = 16      // messages of a batch that are under way to the servers at once
	timelyPart = 4 << 20 // bytes that may take as long as one question
)

func (a *attempt) timeout() time.Duration {
	bytes := 0
	for _, m := range a.messages {
		bytes += len(m.Data)
	}
	return a.journal.engine.options.Timeout * time.Duration(1+bytes/timelyPart)
}

// What is found at a sequence.
type found int

const (
	unknown found = iota // nothing yet, or nobody answers
	ours
	another
	purged // what was there is not needed any more
)

// look reads what is behind the expected sequence. Nothing there settles nothing:
// ours may still be under way.
func (a *attempt) look(ctx context.Context) (f found) {
	_ = a.journal.engine.once(ctx, func(ctx context.Context) error {
		data, err := a.journal.ask(ctx, a.expected+1)
		if err == nil {
			f = a.whose(data)
		} else if errors.Is(err, js.ErrMsgNotFound) {
			info, err := a.journal.stream.Info(ctx)
			if err == nil && info.State.FirstSeq > a.expected+1 {
				f = purged
			}
		}
		return nil
	})
	return f
}

func (a *attempt) whose(data []byte) found {
	switch r, err := decode(data); {
	case errors.Is(err, journal.ErrCorrupt):
		return unknown
	case err == nil && r.id == a.id && r.part == 0:
		return ours
	default:
		return another
	}
}

// Codes of errors by which servers refuse a message before any of them stores it.
// That they are short of resources is none: some versions find that out one by one.
var (
	conflictCodes = []js.ErrorCode{js.JSErrCodeStreamWrongLastSequence, js.JSErrCodeStreamWrongLastSequenceConstant}
	refusalCodes  = []js.ErrorCode{
		js.JSErrCodeStreamMessageExceedsMaximum,
		jetstreamext.JSErrCodeBatchPublishNotEnabled,
		jetstreamext.JSErrCodeBatchPublishExceedsLimit,
	}
)

func hasCode(err error, codes []js.ErrorCode) bool {
	api, ok := errors.AsType[*js.APIError](err)
	return ok && slices.Contains(codes, api.ErrorCode)
}

// conflicts reports whether the servers refused a message because it does not
// follow what they have.
func conflicts(err error) bool { return hasCode(err, conflictCodes) }

// rejects reports whether they refused it for what it is, or for want of room.
func rejects(err error) (reason string, ok bool) {
	if errors.Is(err, nats.ErrMaxPayload) {
		return "a message is too large", true
	}
	return "the servers refuse it", hasCode(err, refusalCodes) || full(err)
}

// full reports whether a limit of the stream refused a message, on all servers
// alike. Other errors with this code are of one server's disk.
func full(err error) bool {
	const storeFailed = 10077
	api, ok := errors.AsType[*js.APIError](err)
	return ok && api.ErrorCode == storeFailed && (api.Description == "maximum bytes exceeded" || api.Description == "maximum messages exceeded")
}
