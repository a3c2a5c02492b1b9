package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// A meddler stands between an engine and the servers.
type meddler struct {
	js.JetStream
	publish func(k kind, send func() error) error // nil passes everything on
}

func (m *meddler) PublishMsg(ctx context.Context, msg *nats.Msg, o ...js.PublishOpt) (ack *js.PubAck, err error) {
	send := func() (err error) {
		ack, err = m.JetStream.PublishMsg(ctx, msg, o...)
		return err
	}
	r, err := decode(msg.Data)
	if err != nil || m.publish == nil {
		return ack, errors.Join(err, send())
	}
	err = m.publish(r.kind, func() error { return errors.Join(ctx.Err(), send()) })
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return ack, err
}

func meddled(t *testing.T, conn *nats.Conn, o Options) (*Engine, *meddler) {
	t.Helper()
	e := newOne(t, conn, o)
	require.NoError(t, e.settle(t.Context()))
	m := &meddler{JetStream: e.js}
	e.js = m
	return e, m
}

// small makes the stream of a partition that copies in small pieces, because it is small.
func small(t *testing.T, e *Engine, maxBytes int64) js.Stream {
	t.Helper()
	name, err := e.StreamName("p")
	require.NoError(t, err)
	config := e.config(name)
	config.MaxBytes = maxBytes
	stream, err := e.js.CreateStream(t.Context(), config)
	require.NoError(t, err)
	return stream
}

// wear appends 40 values of 30 KB, and replaces half of them.
func wear(t *testing.T, p *partition, values map[string][]byte) {
	t.Helper()
	for n := range 60 {
		changes := []journal.Change{putOf(fmt.Sprint("key ", n%40), 30<<10)}
		appendTo(t, p, changes...)
		put(values, changes)
	}
}

func same(t *testing.T, want, got map[string][]byte) {
	t.Helper()
	require.Empty(t, differ(want, got))
}

// A compaction that is refused at any step leaves what stands, and a journal that goes on;
// one whose step stays unknown finishes the journal, as an append would; one whose answer
// is lost goes on.
func TestCompactionThatFailsAtAnyStep(t *testing.T) {
	conn := oneServer(t)
	refused := &js.APIError{Code: 503, ErrorCode: 10077, Description: "maximum bytes exceeded"}
	for name, failure := range map[string]struct {
		err    error
		sent   bool
		always bool
	}{
		"refused":    {err: refused},
		"unanswered": {err: nats.ErrTimeout, sent: true},
		"lost":       {err: nats.ErrTimeout},
		"unknown":    {err: nats.ErrConnectionClosed, always: true},
	} {
		t.Run(name, func(t *testing.T) {
			reached := true
			for step := 0; reached; step++ {
				prefix := fmt.Sprint(name, step)
				e, m := meddled(t, conn, Options{Prefix: prefix})
				small(t, e, 8<<20)
				p, values := openOne(t, e, "p")
				wear(t, p, values)
				n := 0
				reached = false
				m.publish = func(k kind, send func() error) error {
					if n++; n == step+1 || n > step && failure.always {
						reached = true
						if failure.sent {
							require.NoError(t, send())
						}
						return failure.err
					}
					return send()
				}
				err := p.CompactBeside(t.Context())
				m.publish = nil
				changes := []journal.Change{putOf("key 1", 10)}
				_, appended := p.Append(t.Context(), batch(changes))
				switch {
				case reached && failure.always:
					require.ErrorIs(t, err, journal.ErrAmbiguous)
					require.ErrorIs(t, appended, journal.ErrAmbiguous)
				case reached && failure.err == error(refused):
					require.ErrorIs(t, err, journal.ErrRejected)
					require.NoError(t, appended)
					put(values, changes)
				default:
					require.NoError(t, err)
					require.NoError(t, appended)
					put(values, changes)
				}
				next, got := openOne(t, e, "p")
				same(t, values, got)
				require.NoError(t, next.CompactBeside(t.Context()))
				_, got = openOne(t, e, "p")
				same(t, values, got)
				require.True(t, reached || step > 3, "a compaction has more steps than %d", step)
			}
		})
	}
}

type unpurged struct {
	js.Stream
	err   error
	calls atomic.Int64
}

func (u *unpurged) Purge(ctx context.Context, o ...js.StreamPurgeOpt) error {
	u.calls.Add(1)
	if u.err != nil {
		return u.err
	}
	return u.Stream.Purge(ctx, o...)
}

// Where nothing can be removed nothing is copied again and again.
func TestCompactionThatCannotRemove(t *testing.T) {
	e := newOne(t, oneServer(t), Options{Patience: time.Second})
	p, values := openOne(t, e, "p")
	wear(t, p, values)
	denied := &unpurged{Stream: p.stream, err: &js.APIError{Code: 500, ErrorCode: 10110, Description: "purge not permitted"}}
	p.stream = denied
	require.ErrorContains(t, p.CompactBeside(t.Context()), "purge not permitted")
	last := p.last
	for range 3 {
		require.ErrorContains(t, p.CompactBeside(t.Context()), "purge not permitted")
		require.Equal(t, last, p.last)
	}
	denied.err = nil
	require.NoError(t, p.CompactBeside(t.Context()))
	require.Less(t, p.space.used.bytes, int64(45*30<<10))
	_, got := openOne(t, e, "p")
	same(t, values, got)
}

// What is replaced or deleted after it was read is not copied.
func TestCopyNeverBringsBack(t *testing.T) {
	e := newOne(t, oneServer(t), Options{})
	p, _ := openOne(t, e, "p")
	changes := []journal.Change{putOf("kept", 10), putOf("replaced", 10), putOf("deleted", 10), putOf("again", 10)}
	appendTo(t, p, changes...)
	c := &cleaner{p: p, most: mostCopy, give: mostGive}
	require.NoError(t, c.take(t.Context(), p.last, changes, 40))
	require.Len(t, c.pending, 4)
	replaced := putOf("replaced", 20)
	appendTo(t, p, replaced, deleteOf("deleted"), deleteOf("again"))
	appendTo(t, p, changes[3])
	require.NoError(t, c.copy(t.Context()))
	want := map[string][]byte{"kept": changes[0].Value, "replaced": replaced.Value, "again": changes[3].Value}
	require.EqualValues(t, placeOf(p.last, changeSize(changes[0])), p.standing.places[idOf([]byte("kept"))])
	_, got := openOne(t, e, "p")
	same(t, want, got)
}

// A compaction that is under way ends with the journal, and leaves nothing that runs.
func TestCloseEndsACompaction(t *testing.T) {
	e, m := meddled(t, oneServer(t), Options{})
	p, values := openOne(t, e, "p")
	wear(t, p, values)
	reached := make(chan struct{})
	m.publish = func(kind, func() error) error {
		close(reached)
		<-p.open.Done()
		return context.Canceled
	}
	result := make(chan error, 1)
	go func() { result <- p.CompactBeside(t.Context()) }()
	<-reached
	require.NoError(t, p.Close(t.Context()))
	require.ErrorIs(t, <-result, journal.ErrClosed)
	require.ErrorIs(t, p.CompactBeside(t.Context()), journal.ErrClosed)
	_, err := p.Append(t.Context(), batch([]journal.Change{putOf("late", 1)}))
	require.ErrorIs(t, err, journal.ErrClosed)
	m.publish = nil
	_, got := openOne(t, e, "p")
	same(t, values, got)
}

// A copy of an earlier holder is fenced like anything else.
func TestTakeOverInTheMiddleOfACompaction(t *testing.T) {
	conn := oneServer(t)
	e, m := meddled(t, conn, Options{})
	p, values := openOne(t, e, "p")
	wear(t, p, values)
	var next *partition
	m.publish = func(k kind, send func() error) error {
		if next == nil {
			require.Equal(t, kindCopy, k)
			next, _ = openOne(t, newOne(t, conn, Options{}), "p")
			changes := []journal.Change{putOf("key 1", 10), deleteOf("key 2")}
			appendTo(t, next, changes...)
			put(values, changes)
		}
		return send()
	}
	require.ErrorIs(t, p.CompactBeside(t.Context()), journal.ErrFenced)
	_, err := p.Append(t.Context(), batch([]journal.Change{putOf("late", 1)}))
	require.ErrorIs(t, err, journal.ErrFenced)
	require.NoError(t, next.CompactBeside(t.Context()))
	_, got := openOne(t, e, "p")
	same(t, values, got)
}

// Who asks for a compaction and goes away ends it, and leaves the journal as it was.
func TestCompactThatEndsEarly(t *testing.T) {
	conn := oneServer(t)
	for step := range 6 {
		e, m := meddled(t, conn, Options{Prefix: fmt.Sprint("early", step)})
		small(t, e, 8<<20)
		p, values := openOne(t, e, "p")
		wear(t, p, values)
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		m.publish = func(k kind, send func() error) error {
			if n++; n > step {
				cancel()
			}
			return send()
		}
		require.ErrorIs(t, p.CompactBeside(ctx), context.Canceled)
		m.publish = func(k kind, send func() error) error {
			assert.NotEqual(t, kindCopy, k, "it has ended")
			return send()
		}
		appendTo(t, p, deleteOf("key 1"))
		delete(values, "key 1")
		_, got := openOne(t, e, "p")
		same(t, values, got)
	}
}

// A journal compacts itself when more is waste than stands.
func TestCompactsByItself(t *testing.T) {
	e := newOne(t, oneServer(t), Options{})
	p, values := openOne(t, e, "p")
	for n := range 600 {
		changes := []journal.Change{putOf(fmt.Sprint("key ", n%20), 100<<10)}
		appendTo(t, p, changes...)
		put(values, changes)
	}
	require.Eventually(t, func() bool {
		info, err := p.stream.Info(t.Context())
		return err == nil && info.State.Bytes < 24<<20
	}, 20*time.Second, 10*time.Millisecond, "60 MB were appended, 2 MB stand")
	_, got := openOne(t, e, "p")
	same(t, values, got)
}

// After a compaction that has failed none begins by itself for a minute.
func TestNextCompactionWaitsAfterAFailure(t *testing.T) {
	e := newOne(t, oneServer(t), Options{Patience: time.Second})
	small(t, e, 16<<20)
	p, values := openOne(t, e, "p")
	denied := &unpurged{Stream: p.stream, err: &js.APIError{Code: 400, ErrorCode: 1, Description: "purge not permitted"}}
	p.stream = denied
	wear(t, p, values)
	require.Error(t, p.CompactBeside(t.Context()))
	for range 3 {
		wear(t, p, values)
	}
	require.EqualValues(t, 1, denied.calls.Load())
	denied.err = nil
	p.again = time.Now()
	wear(t, p, values)
	require.Eventually(t, func() bool {
		info, err := p.stream.Info(t.Context())
		return err == nil && info.State.Bytes < 4<<20
	}, 20*time.Second, 10*time.Millisecond)
	_, got := openOne(t, e, "p")
	same(t, values, got)
}

// What earlier holders have left is compacted by the next one, also if that only opens the
// journal.
func TestOpenCompacts(t *testing.T) {
	conn := oneServer(t)
	for n, maxBytes := range []int64{-1, 16 << 20} {
		e := newOne(t, conn, Options{Prefix: fmt.Sprint("open", n)})
		small(t, e, maxBytes)
		p, values := openOne(t, e, "p")
		p.one <- struct{}{} // none begins
		again := []journal.Change{putOf("key", 100<<10)}
		for {
			if _, err := p.Append(t.Context(), batch(again)); errors.Is(err, journal.ErrRejected) || p.space.used.bytes > 20<<20 {
				break
			}
		}
		put(values, again)
		<-p.one
		next, got := openOne(t, e, "p")
		same(t, values, got)
		require.Eventually(t, func() bool {
			info, err := next.stream.Info(t.Context())
			return err == nil && info.State.Bytes < 1<<20
		}, 20*time.Second, 10*time.Millisecond)
		_, got = openOne(t, e, "p")
		same(t, values, got)
	}
}
