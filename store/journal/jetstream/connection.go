package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// Connect connects to servers as an engine needs it: to any of them, given by URLs with
// commas between, and to another one for as long as it takes when that fails. A write
// that the system does not take ends after some seconds rather than a minute, in which
// nothing else could be done over the connection. Options come after these, and may
// change them.
func Connect(urls string, options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(urls, append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectWait/2, reconnectWait/2),
		nats.FlusherTimeout(mostWrite), nats.ReconnectOnFlusherError(),
	}, options...)...)
}

const (
	reconnectWait = 200 * time.Millisecond // once all servers were tried
	mostWrite     = 2 * time.Second
)

// bounded bounds a question. If its time ends without an answer, the engine finds out
// whether the server it is connected to answers at all.
func (e *Engine) bounded(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	asking, cancel := context.WithTimeout(ctx, most)
	return asking, func() {
		if errors.Is(asking.Err(), context.DeadlineExceeded) {
			e.suspect()
		}
		cancel()
	}
}

// doubt checks the connection while a question takes longer than one of usual size.
func (e *Engine) doubt(asking context.Context) {
	time.AfterFunc(e.options.Timeout, func() {
		if asking.Err() == nil {
			e.suspect()
			e.doubt(asking)
		}
	})
}

// suspect checks the connection, unless that is being done. It does not wait.
func (e *Engine) suspect() {
	if e.checking.CompareAndSwap(false, true) {
		go func() {
			defer e.checking.Store(false)
			e.check()
		}()
	}
}

const (
	leastSilence = 500 * time.Millisecond // before a server counts as silent,
	mostSilence  = 2 * time.Second        // however long questions may take
	mostPings    = 4                      // while it sends other things
)

// check lets the client go to another server if its server is silent: it hangs, or one
// direction of the connection does. The client alone would find out after minutes. A
// server that answers a ping is not silent, whatever else it lacks. One that does not,
// but sends something else, may have much to send before its answer.
//
// A client that is connecting already looks for a server that answers.
func (e *Engine) check() {
	connected := e.conn.Stats().Reconnects
	same := func() bool { return e.conn.Status() == nats.CONNECTED && e.conn.Stats().Reconnects == connected }
	for n := 0; n < mostPings && same(); n++ {
		heard := e.conn.Stats().InMsgs
		if !e.ping() {
			return
		}
		if e.conn.Stats().InMsgs == heard {
			break
		}
	}
	if same() {
		_ = e.conn.ForceReconnect()
	}
}

// ping reports whether the server leaves a ping without an answer.
func (e *Engine) ping() (silent bool) {
	ctx, cancel := context.WithTimeout(context.Background(), min(max(e.options.Timeout/2, leastSilence), mostSilence))
	defer cancel()
	return errors.Is(e.conn.FlushWithContext(ctx), context.DeadlineExceeded)
}
