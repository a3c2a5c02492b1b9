package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
)

// A Directory is a small document in a key-value bucket, which members of a cluster
// change by compare-and-set: see package cluster. It may be used by any number of
// goroutines.
type Directory struct {
	engine *Engine
	bucket string
	name   string
}

// Directory returns the directory of a cluster, whose name is of letters, digits,
// - and _. It is kept in the bucket with the name of the engine's prefix, on as
// many servers as the partitions.
func (e *Engine) Directory(name string) (*Directory, error) {
	if !plainName(name) {
		return nil, fmt.Errorf("jetstream: the name %q of a directory is not of letters, digits, - and _", name)
	}
	return &Directory{engine: e, bucket: e.options.Prefix, name: name}, nil
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

// ask asks the servers, and again as long as nobody was there to hear it.
func (d *Directory) ask(ctx context.Context, question func(context.Context) error) error {
	return d.engine.once(ctx, func(ctx context.Context) error {
		for pause := newPause(); ; {
			err := question(ctx)
			unheard := errors.Is(err, nats.ErrNoResponders) || errors.Is(err, js.ErrNoStreamResponse)
			if !unheard || !pause.wait(ctx) {
				return err
			}
		}
	})
}

// Read returns the document and its revision, which is 0 if there is none yet. It
// may be an earlier one for a moment.
func (d *Directory) Read(ctx context.Context) (document []byte, revision uint64, err error) {
	err = d.ask(ctx, func(ctx context.Context) error {
		kv, err := d.open(ctx)
		if err != nil {
			return err
		}
		entry, err := kv.Get(ctx, d.name)
		if errors.Is(err, js.ErrKeyNotFound) {
			return nil
		}
		if err == nil {
			document, revision = entry.Value(), entry.Revision()
		}
		return err
	})
	return document, revision, d.wrap(err)
}

// Write replaces the document if its revision is still the given one, and reports
// whether. After an error nobody knows.
func (d *Directory) Write(ctx context.Context, document []byte, revision uint64) (ok bool, err error) {
	err = d.ask(ctx, func(ctx context.Context) error {
		kv, err := d.open(ctx)
		if err != nil {
			return err
		}
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
	return ok, d.wrap(err)
}

func (d *Directory) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("jetstream: directory %s: %w", d.name, err)
	}
	return nil
}
