package jetstream

import (
	"context"
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
func (d *Directory) ask(ctx context.Context, twice bool, question func(context.Context) error) error {
	ctx, cancel := d.engine.within(ctx)
	defer cancel()
	for pause := newPause(); ; {
		err := d.open(ctx)
		again := err != nil || twice
		if err == nil {
			err = question(ctx)
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

// open looks for the bucket, and makes one if there is none.
func (d *Directory) open(ctx context.Context) error {
	if err := d.engine.settle(ctx); err != nil {
		return err
	}
	_, err := d.engine.js.KeyValue(ctx, d.engine.bucketName())
	if errors.Is(err, js.ErrBucketNotFound) {
		_, err = d.engine.js.CreateKeyValue(ctx, d.engine.bucketConfig())
	}
	if err != nil {
		return err
	}
	return d.check(ctx)
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
	err = d.ask(ctx, true, func(ctx context.Context) (err error) {
		document, revision, _, err = d.engine.last(ctx, d.name)
		return err
	})
	return document, revision, err
}

// Write replaces the document if it still has the given revision, and reports
// whether it did. After an error the outcome is unknown.
func (d *Directory) Write(ctx context.Context, document []byte, revision uint64) (ok bool, err error) {
	err = d.ask(ctx, false, func(ctx context.Context) error {
		err := d.engine.put(ctx, d.name, document, revision)
		if revision == 0 && conflicts(err) {
			_, _, mark, looked := d.engine.last(ctx, d.name)
			if looked != nil || mark == 0 { // another has created it, or is about to
				return looked
			}
			err = d.engine.put(ctx, d.name, document, mark)
		}
		ok = err == nil
		if conflicts(err) {
			return nil
		}
		return err
	})
	return ok, err
}
