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

// An attempt stores an entry, whose parts are messages, directly behind a sequence.
type attempt struct {
	partition *partition
	id        [16]byte
	expected  uint64 // the last sequence before the entry
	messages  []*nats.Msg
	digest    digest // of the last message
}

// resolve publishes the messages until it knows what came of them. Publishing them
// again does no harm, because the servers take only one entry behind a sequence. In
// the end ours is there, or another's; only impatience leaves that open.
//
// A conflict that the servers report proves nothing: it may be with our own message,
// which came through before, or with one that vanishes when leaders change.
func (a *attempt) resolve(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.partition.engine.options.Patience)
	defer cancel()
	refused := true // so far: no message of ours can still be under way
	for pause := newPause(); ; {
		most := pause.try(a.partition.engine.options.Timeout)
		err := a.publish(ctx, most)
		if err == nil {
			return nil
		}
		if reason, ok := rejects(err); ok && refused {
			return fmt.Errorf("%w: %s: %w", journal.ErrRejected, reason, err)
		}
		refused = refused && conflicts(err)
		switch found := a.look(ctx, most); {
		case found == ours:
			return nil
		case found == another || found == purged && refused:
			return fmt.Errorf("%w: stream %s has another entry at sequence %d", journal.ErrFenced, a.partition.name, a.expected+1)
		case found == purged || errors.Is(err, nats.ErrConnectionClosed) || !pause.wait(ctx):
			return fmt.Errorf("%w: stream %s, sequence %d: %w", journal.ErrAmbiguous, a.partition.name, a.expected+1, err)
		}
	}
}

// amount returns what the messages take of the stream, or a little more.
func (a *attempt) amount() (sum amount) {
	for _, m := range a.messages {
		sum.bytes += int64(len(m.Data)-headLength-sumLength) + a.partition.entrySize()
	}
	sum.messages = int64(len(a.messages))
	return sum
}

// entrySize returns how many bytes an entry takes besides its body: what the servers
// write to a file for a message, the headers of an atomic batch, and its own head.
func (p *partition) entrySize() int64 {
	const record, headers = 34, len("NATS/1.0\r\n" + js.ExpectedLastSeqHeader + ": 18446744073709551615\r\n" + js.ExpectedStreamHeader + ": \r\n" +
		"Nats-Batch-Id: 0123456789012345678901\r\nNats-Batch-Sequence: 1000\r\nNats-Batch-Commit: 1\r\n\r\n")
	return int64(record + headers + len(p.name) + len(p.engine.subject(p.name)) + headLength + sumLength)
}

// publish publishes the messages, all or none of which are stored. It gives large ones
// more time.
func (a *attempt) publish(ctx context.Context, most time.Duration) error {
	bytes := 0
	for _, m := range a.messages {
		m.Header, m.Reply = nats.Header{}, ""
		bytes += len(m.Data)
	}
	e := a.partition.engine
	if large := time.Duration(bytes / timelyPart); large > 0 {
		most = e.options.Timeout * (1 + large)
	}
	ctx, cancel := e.bounded(ctx, most)
	defer cancel()
	a.messages[0].Header.Set(js.ExpectedLastSeqHeader, strconv.FormatUint(a.expected, 10))
	a.messages[0].Header.Set(js.ExpectedStreamHeader, a.partition.name)
	if len(a.messages) == 1 {
		ack, err := e.js.PublishMsg(ctx, a.messages[0], js.WithRetryAttempts(0))
		if err != nil {
			return err
		}
		return a.checkAck(ack.Domain, ack.Stream, ack.Sequence)
	}
	e.doubt(ctx)
	ack, err := jetstreamext.PublishMsgBatch(ctx, e.js, a.messages, jetstreamext.BatchFlowControl{
		AckFirst: true, AckEvery: ackEvery, AckTimeout: e.options.Timeout,
	})
	if err != nil {
		return err
	}
	return a.checkAck(ack.Domain, ack.Stream, ack.Sequence)
}

// checkAck returns an error unless the acknowledgement is that of the partition's own
// stream, for the place that the messages must have. Another stream that gets the
// messages too may be quicker to answer; then what came of ours is unknown.
func (a *attempt) checkAck(domain, stream string, sequence uint64) error {
	e, want := a.partition.engine, a.expected+uint64(len(a.messages))
	if domain == e.domain && stream == a.partition.name && sequence == want {
		return nil
	}
	return fmt.Errorf("stream %q in domain %q acknowledges sequence %d, it should be stream %q in domain %q and %d",
		stream, domain, sequence, a.partition.name, e.domain, want)
}

const (
	ackEvery   = 2       // messages of a batch under way at once: more could fill the way to a server that hangs
	timelyPart = 4 << 20 // bytes that may take as long as one question
)

// found is what look finds.
type found int

const (
	unknown found = iota // nothing yet, or nobody answers
	ours
	another
	purged // what was there is no longer needed
)

// look reads what is behind the expected sequence. If nothing is there, ours may
// still be under way.
func (a *attempt) look(ctx context.Context, most time.Duration) found {
	ctx, cancel := a.partition.engine.bounded(ctx, most)
	defer cancel()
	data, err := a.partition.ask(ctx, a.expected+1)
	switch {
	case err == nil:
		return a.whose(data)
	case errors.Is(err, js.ErrMsgNotFound) && a.partition.state(ctx).FirstSeq > a.expected+1:
		return purged
	}
	return unknown
}

func (a *attempt) whose(data []byte) found {
	switch r, err := decode(data); {
	case errors.Is(err, journal.ErrCorrupt):
		return unknown
	case err == nil && r.id == a.id && r.part == 0:
		return ours
	case err == nil && r.previous != a.partition.previous:
		return unknown // of another history: the stream is not the one that was opened
	default:
		return another
	}
}

// The codes by which the servers refuse a message before any of them stores it. A
// lack of a server's own resources is not among them: in some versions each server finds
// that out for itself.
const accountFull js.ErrorCode = 10002

var (
	conflictCodes = []js.ErrorCode{js.JSErrCodeStreamWrongLastSequence, js.JSErrCodeStreamWrongLastSequenceConstant}
	refusalCodes  = []js.ErrorCode{
		accountFull,
		js.JSErrCodeStreamMessageExceedsMaximum,
		jetstreamext.JSErrCodeBatchPublishNotEnabled,
		jetstreamext.JSErrCodeBatchPublishExceedsLimit,
	}
)

func hasCode(err error, codes []js.ErrorCode) bool {
	api, ok := errors.AsType[*js.APIError](err)
	return ok && slices.Contains(codes, api.ErrorCode)
}

// conflicts reports whether the servers refused a message because they have other
// messages before it than it expects.
func conflicts(err error) bool { return hasCode(err, conflictCodes) }

// rejects reports whether they refused it for its size, or for lack of room.
func rejects(err error) (reason string, ok bool) {
	if errors.Is(err, nats.ErrMaxPayload) {
		return "a message is too large", true
	}
	return "the servers refuse it", hasCode(err, refusalCodes) || full(err)
}

// full reports whether a limit of the stream refused a message. All servers agree on
// that; other errors with this code come from one server's disk.
func full(err error) bool {
	const storeFailed = 10077
	api, ok := errors.AsType[*js.APIError](err)
	return ok && api.ErrorCode == storeFailed && (api.Description == "maximum bytes exceeded" || api.Description == "maximum messages exceeded")
}
