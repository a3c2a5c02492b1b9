package jetstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
)

// within bounds one question to the servers.
func (e *Engine) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return e.bounded(ctx, e.options.Timeout)
}

// try asks the servers within the time of one try.
func try[T any](ctx context.Context, e *Engine, p *pause, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := e.bounded(ctx, p.try(e.options.Timeout))
	defer cancel()
	return ask(ctx)
}

// persist asks the servers again and again, until they answer or Options.Patience
// ends.
func persist[T any](ctx context.Context, e *Engine, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, e.options.Patience)
	defer cancel()
	var told error // what the servers said last, before they said nothing
	for pause := newPause(); ; {
		answer, err := try(ctx, e, pause, ask)
		if err == nil || final(err) {
			return answer, err
		}
		silent := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
		if !silent {
			told = err
		}
		switch {
		case pause.wait(ctx):
		case silent && told != nil:
			return answer, fmt.Errorf("%w; before that: %w", err, told)
		default:
			return answer, err
		}
	}
}

// final reports whether an error is an answer that will be the same next time.
func final(err error) bool {
	const (
		noPeers      = 10005 // for a new stream: a server is down
		notFound     = 10059 // also of a new stream, while leaders change
		notClustered = 10074 // there are fewer servers than replicas
	)
	if errors.Is(err, errReplaced) {
		return true
	}
	api, ok := errors.AsType[*js.APIError](err)
	return ok && (api.Code < 500 && api.ErrorCode != noPeers && api.ErrorCode != notFound || api.ErrorCode == notClustered)
}

// A pause grows from one try to the next, with jitter.
type pause struct {
	next  time.Duration
	tries int // that have failed
}

const (
	firstPause = 5 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)

func newPause() *pause { return &pause{next: firstPause} }

// try is how long the next try may take. While a leader is elected, questions get lost:
// so after one that had all its time, others follow each other faster, for the time
// that an election takes. Servers that are only slow get all the time again after that.
func (p *pause) try(timeout time.Duration) time.Duration {
	if p.tries%hasty == 0 {
		return timeout
	}
	return min(timeout, max(timeout/4, leastTry))
}

const (
	hasty    = 10 // tries, of which one has all its time
	leastTry = 250 * time.Millisecond
)

// wait waits, and reports whether ctx is still alive.
func (p *pause) wait(ctx context.Context) bool {
	timer := time.NewTimer(p.next/2 + rand.N(p.next/2))
	defer timer.Stop()
	p.next = min(2*p.next, mostPause)
	p.tries++
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
