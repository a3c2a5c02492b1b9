package jetstream

import (
	"context"
	"errors"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// description is that of the streams which the engine makes.
const description = "loopstore journal"

// config is the configuration of a new stream.
func (e *Engine) config(name string) js.StreamConfig {
	return js.StreamConfig{
		Name: name, Description: description, Subjects: []string{e.subject(name)},
		Retention: js.LimitsPolicy, Discard: js.DiscardNew, Storage: js.FileStorage, Replicas: e.options.Replicas,
		DenyDelete: true, AllowDirect: true, AllowAtomicPublish: true,
	}
}

// stream makes a partition's stream if there is none, and refuses one whose settings
// would harm a journal.
func (e *Engine) stream(ctx context.Context, name, partition string) (*streamInfo, error) {
	info, err := e.existing(ctx, name)
	if err != nil {
		return nil, err
	}
	if info == nil || info.State.LastSeq == 0 {
		if err := e.checkFormer(ctx, partition); err != nil {
			return nil, err
		}
	}
	made := false
	if info == nil {
		if info, made, err = e.create(ctx, name); err != nil {
			return nil, err
		}
	}
	if err := refusal(e.judge(info)); err != nil {
		if made && info.State.LastSeq == 0 {
			err = errors.Join(err, e.remove(ctx, name))
		}
		return nil, err
	}
	return info, nil
}

// existing asks for a stream until a server answers. It returns nil if there is none.
func (e *Engine) existing(ctx context.Context, name string) (*streamInfo, error) {
	return persist(ctx, e, func(ctx context.Context) (*streamInfo, error) {
		info, err := e.askStream(ctx, name)
		if noStream(err) {
			return nil, nil
		}
		return info, err
	})
}

// create makes a stream, if there is none, and reports whether it is known to be its own:
// another member may do the same at the same time.
func (e *Engine) create(ctx context.Context, name string) (info *streamInfo, made bool, err error) {
	info, err = persist(ctx, e, func(ctx context.Context) (*streamInfo, error) {
		info, err := e.askStream(ctx, name)
		if noStream(err) {
			made = false
			if _, err := e.js.CreateStream(ctx, e.config(name)); err != nil {
				return nil, fmt.Errorf("creating the stream: %w", err)
			}
			made = true
			info, err = e.askStream(ctx, name)
		}
		return info, err
	})
	return info, made, err
}

// remove deletes a stream that Open has made, and must not use. It asks once: a request
// that comes late could meet another's journal.
func (e *Engine) remove(ctx context.Context, name string) error {
	ctx, cancel := e.within(ctx)
	defer cancel()
	if err := e.js.DeleteStream(ctx, name); err != nil && !noStream(err) {
		return fmt.Errorf("and the new stream is still there, empty: %w", err)
	}
	return nil
}

// refusal returns an error that names what is broken, nil if nothing is.
func refusal(findings []journal.Finding) error {
	var all []error
	for _, f := range findings {
		if f.Status == journal.Broken {
			all = append(all, fmt.Errorf("its %s is %s, and must be %s", f.Setting, f.Value, f.Advice))
		}
	}
	return errors.Join(all...)
}
