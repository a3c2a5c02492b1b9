package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
)

// A Directory is a small document in a key-value bucket. Members of a cluster
// change it by compare-and-set: see package cluster. It is safe for concurrent use.
type Directory struct {
	engine *Engine
	bucket string
	name   string
}

// Directory returns the directory of a cluster. Its name consists of letters,
// digits, - and _. The bucket has the name of the engine's prefix, and as many
// replicas as the partitions.
func (e *Engine) Directory(name string) (*Directory, error) {
	if !plainName(name) {
		return nil, fmt.Errorf("jetstream: the directory's name %q has other characters than letters, digits, - and _", name)
	}
	return &Directory{engine: e, bucket: e.options.Prefix, name: name}, nil
}

// ask puts a question to the bucket, again as long as no server hears it.
func (d *Directory) ask(ctx context.Context, question func(context.Context, js.KeyValue) error) error {
	ctx, cancel := d.engine.within(ctx)
	defer cancel()
	for pause := newPause(); ; {
		kv, err := d.open(ctx)
		if err == nil {
			err = question(ctx, kv)
		}
		if err == nil {
			return nil
		}
		unheard := errors.Is(err, nats.ErrNoResponders) || errors.Is(err, js.ErrNoStreamResponse)
		if !unheard || !pause.wait(ctx) {
			return fmt.Errorf("jetstream: directory %s: %w", d.name, err)
		}
	}
}

// open returns the bucket, a new one if there is none.
func (d *Directory) open(ctx context.Context) (js.KeyValue, error) {
	kv, err := d.engine.js.KeyValue(ctx, d.bucket)
	if errors.Is(err, js.ErrBucketNotFound) {
		kv, err = d.engine.js.CreateKeyValue(ctx, js.KeyValueConfig{
			Bucket: d.bucket, Description: "loopstore directories", Replicas: d.engine.options.Replicas, History: 1,
		})
	}
	return kv, err
}

// Read returns the document and its revision, nil and 0 if there is none yet. It asks
// the leader of the bucket's stream. The nats client would ask any server, and one that
// lags lacks the latest.
func (d *Directory) Read(ctx context.Context) (document []byte, revision uint64, err error) {
	err = d.ask(ctx, func(ctx context.Context, kv js.KeyValue) (err error) {
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
	err = d.ask(ctx, func(ctx context.Context, kv js.KeyValue) (err error) {
		if revision == 0 {
			_, err = kv.Create(ctx, d.name, document)
		} else {
			_, err = kv.Update(ctx, d.name, document, revision)
		}
		ok = err == nil
		if errors.Is(err, js.ErrKeyExists) || conflicts(err) {
			return nil
		}
		return err
	})
	return ok, err
}
