package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
)

// A Directory is a small document in a key-value bucket. Members of a cluster
// change it by compare-and-set: see package cluster. It is safe for concurrent use.
type Directory struct {
	engine *Engine
	name   string

	judging chan struct{}             // has room for one, who looks at the bucket's settings
	judged  atomic.Pointer[time.Time] // when that was last done
	told    told                      // of who judges
}

// Directory returns the directory of a cluster. Its name consists of letters,
// digits, - and _; another one is a [*NameError]. The bucket has the name of the
// engine's prefix, in a domain with that behind it, and as many replicas as the
// partitions. One whose settings can lose documents is refused.
func (e *Engine) Directory(name string) (*Directory, error) {
	if err := checkDirectory(name); err != nil {
		return nil, err
	}
	return &Directory{engine: e, name: name, judging: make(chan struct{}, 1)}, nil
}

// ask puts a question to the bucket, again as long as no server hears it. One that may
// be put twice is also put again if the connection goes to another server meanwhile.
func (d *Directory) ask(ctx context.Context, twice bool, question func(context.Context, js.KeyValue) error) error {
	ctx, cancel := d.engine.within(ctx)
	defer cancel()
	for pause := newPause(); ; {
		kv, err := d.open(ctx)
		again := err != nil || twice
		if err == nil {
			err = question(ctx, kv)
		}
		if err == nil {
			return nil
		}
		again = again && errors.Is(err, nats.ErrDisconnected)
		unheard := errors.Is(err, nats.ErrNoResponders) || errors.Is(err, js.ErrNoStreamResponse)
		if !again && !unheard || !pause.wait(ctx) {
			return fmt.Errorf("jetstream: directory %s: %w", d.name, err)
		}
	}
}

// open returns the bucket, a new one if there is none.
func (d *Directory) open(ctx context.Context) (js.KeyValue, error) {
	if err := d.engine.settle(ctx); err != nil {
		return nil, err
	}
	kv, err := d.engine.js.KeyValue(ctx, d.engine.bucketName())
	if errors.Is(err, js.ErrBucketNotFound) {
		kv, err = d.engine.js.CreateKeyValue(ctx, d.engine.bucketConfig())
	}
	if err != nil {
		return nil, err
	}
	return kv, d.check(ctx)
}

// check refuses a bucket that can lose documents, at first. Later changes are no reason
// to end a service that is well: they are logged within a minute, and nobody waits for
// that.
func (d *Directory) check(ctx context.Context) error {
	last := d.judged.Load()
	if last != nil && time.Since(*last) < lookEvery {
		return nil
	}
	select {
	case d.judging <- struct{}{}:
		defer func() { <-d.judging }()
	default:
		if last != nil {
			return nil
		}
		select {
		case d.judging <- struct{}{}:
			defer func() { <-d.judging }()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	info, err := d.engine.askStream(ctx, d.engine.bucketStream())
	if last == nil && err == nil {
		err = refusal(d.engine.judgeBucket(info))
	}
	if last == nil && err != nil {
		return fmt.Errorf("bucket %s: %w", d.engine.bucketName(), err)
	}
	d.judged.Store(new(time.Now()))
	if err == nil {
		now := append(d.engine.judgeBucket(info), judgeRoom(info)...)
		d.engine.tell(info.Config.Name, d.told, now)
		d.told = tellable(now)
	}
	return nil
}

// Read returns the document and its revision, nil and 0 if there is none yet. It asks
// the leader of the bucket's stream. The nats client would ask any server, and one that
// lags lacks the latest.
func (d *Directory) Read(ctx context.Context) (document []byte, revision uint64, err error) {
	err = d.ask(ctx, true, func(ctx context.Context, kv js.KeyValue) (err error) {
		document, revision, err = d.last(ctx, kv.Bucket())
		return err
	})
	return document, revision, err
}

// last asks once for the last message of the document. One that deletes it, which only
// others write, has headers that say so.
func (d *Directory) last(ctx context.Context, bucket string) (document []byte, revision uint64, err error) {
	question := fmt.Appendf(nil, `{"last_by_subj":"$KV.%s.%s"}`, bucket, d.name)
	answer, err := d.engine.conn.RequestWithContext(ctx, d.engine.api+"STREAM.MSG.GET.KV_"+bucket, question)
	if err != nil {
		return nil, 0, err
	}
	var got struct {
		Error   *js.APIError `json:"error"`
		Message *struct {
			Seq     uint64 `json:"seq"`
			Headers []byte `json:"hdrs"`
			Data    []byte `json:"data"`
		} `json:"message"`
	}
	err = json.Unmarshal(answer.Data, &got)
	switch {
	case err != nil:
		return nil, 0, err
	case errors.Is(got.Error, js.ErrMsgNotFound):
		return nil, 0, nil
	case got.Error != nil:
		return nil, 0, got.Error
	case got.Message == nil || got.Message.Seq == 0:
		return nil, 0, js.ErrInvalidJetStreamResponse
	}
	headers := nats.Header{}
	if len(got.Message.Headers) > 0 {
		if headers, err = nats.DecodeHeadersMsg(got.Message.Headers); err != nil {
			return nil, 0, err
		}
	}
	if headers.Get("KV-Operation") != "" || headers.Get(js.MarkerReasonHeader) != "" {
		return nil, 0, nil
	}
	return append([]byte{}, got.Message.Data...), got.Message.Seq, nil
}

// Write replaces the document if it still has the given revision, and reports
// whether it did. After an error the outcome is unknown.
func (d *Directory) Write(ctx context.Context, document []byte, revision uint64) (ok bool, err error) {
	err = d.ask(ctx, false, func(ctx context.Context, _ js.KeyValue) error {
		after := revision
		err := d.engine.put(ctx, d.name, document, after)
		if revision == 0 && conflicts(err) {
			if after, err = d.engine.removedAt(ctx, d.name); err != nil || after == 0 {
				return err
			}
			err = d.engine.put(ctx, d.name, document, after)
		}
		ok = err == nil
		if conflicts(err) {
			return nil
		}
		return err
	})
	return ok, err
}
