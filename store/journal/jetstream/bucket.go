package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// bucketConfig is the configuration of a new bucket.
func (e *Engine) bucketConfig() js.KeyValueConfig {
	return js.KeyValueConfig{
		Bucket: e.bucketName(), Description: "loopstore directories", Replicas: e.options.Replicas, History: 1,
	}
}

// bucketStream returns the name of the stream that keeps the bucket.
func (e *Engine) bucketStream() string { return "KV_" + e.bucketName() }

// judgeBucket checks the bucket of the directories, and returns what is not as it should
// be. A broken setting can lose or refuse documents.
func (e *Engine) judgeBucket(info *streamInfo) []journal.Finding {
	w := wanted{StreamConfig: js.StreamConfig{
		Name: e.bucketStream(), Subjects: []string{e.keySubject(">")}, Replicas: e.options.Replicas,
	}, payload: e.conn.MaxPayload()}
	return judgeSettings(info, w, bucketSettings)
}

// keySubject is where the documents under a key are kept.
func (e *Engine) keySubject(key string) string { return "$KV." + e.bucketName() + "." + key }

// put stores a document behind the latest one under a key, which has a sequence, 0 for
// none. The acknowledgement must be the bucket's own.
func (e *Engine) put(ctx context.Context, key string, document []byte, after uint64) error {
	m := nats.NewMsg(e.keySubject(key))
	if e.domain != "" {
		m.Subject = e.api + m.Subject // leaf nodes do not pass on the other one
	}
	m.Data = document
	m.Header.Set(js.ExpectedStreamHeader, e.bucketStream())
	m.Header.Set(js.ExpectedLastSubjSeqHeader, strconv.FormatUint(after, 10))
	ack, err := e.js.PublishMsg(ctx, m, js.WithRetryAttempts(0))
	if err != nil {
		return err
	}
	if ack.Stream != e.bucketStream() || ack.Domain != e.domain || ack.Sequence <= after {
		return fmt.Errorf("stream %q in domain %q acknowledges sequence %d behind %d, it should be stream %q in domain %q: whether the document was stored is unknown",
			ack.Stream, ack.Domain, ack.Sequence, after, e.bucketStream(), e.domain)
	}
	return nil
}

// last asks the leader once for the last message of a key. mark is its sequence if that
// says that the key was removed, which only others do, and 0 otherwise.
func (e *Engine) last(ctx context.Context, key string) (document []byte, revision, mark uint64, err error) {
	got, err := e.message(ctx, e.bucketStream(), fmt.Sprintf(`{"last_by_subj":%q}`, e.keySubject(key)))
	switch {
	case errors.Is(err, js.ErrMsgNotFound):
		return nil, 0, 0, nil
	case err != nil:
		return nil, 0, 0, err
	case got.Sequence == 0:
		return nil, 0, 0, js.ErrInvalidJetStreamResponse
	}
	header := nats.Header{}
	if len(got.Header) > 0 {
		if header, err = nats.DecodeHeadersMsg(got.Header); err != nil {
			return nil, 0, 0, err
		}
	}
	if header.Get("KV-Operation") != "" || header.Get(js.MarkerReasonHeader) != "" {
		return nil, 0, got.Sequence, nil
	}
	return append([]byte{}, got.Data...), got.Sequence, 0, nil
}
