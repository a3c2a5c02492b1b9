package jetstream

import (
	"context"
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
	kv, err := d.engine.js.KeyValue(ctx, d.bucket)
	if errors.Is(err, js.ErrBucketNotFound) {
		kv, err = d.engine.js.CreateKeyValue(ctx, js.KeyValueConfig{
			Bucket: d.bucket, Description: "loopstore directories", Replicas: d.engine.options.Replicas, History: 1,
		})
	}
	return kv, err
}

// Read returns the document and its revision, 0 if there is none yet. It may
// return an earlier one for a moment.
func (d *Directory) Read(ctx context.Context) (document []byte, revision uint64, err error) {
	err = d.ask(ctx, true, func(ctx context.Context, kv js.KeyValue) error {
		entry, err := kv.Get(ctx, d.name)
		if errors.Is(err, js.ErrKeyNotFound) {
			return nil
		}
		if err == nil {
			document, revision = entry.Value(), entry.Revision()
		}
		return err
	})
	return document, revision, err
}

// Write replaces the document if it still has the given revision, and reports
// whether it did. After an error the outcome is unknown.
func (d *Directory) Write(ctx context.Context, document []byte, revision uint64) (ok bool, err error) {
	err = d.ask(ctx, false, func(ctx context.Context, kv js.KeyValue) (err error) {
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
