package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/faultproxy"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/postgres"
)

// filled makes a partition of more than fits in what lies between a server and a
// client.
func filled(t testing.TB, opts postgres.Options) contents {
	t.Helper()
	j := open(t, postgres.New(poolOf(t), opts), "p", contents{})
	want := contents{}
	for n := range 30 {
		key, value := fmt.Sprintf("key %03d", n), strings.Repeat(fmt.Sprint(n%10), 1<<20)
		want[key] = value
		appendTo(t, j, put(key, value))
	}
	return want
}

// Who opens while another one takes over and appends sees the moment before, or
// that he is fenced.
func TestATakeOverWhileOpening(t *testing.T) {
	opts := fresh()
	want := filled(t, opts)
	other := postgres.New(poolOf(t), opts)
	got := contents{}
	first, err := postgres.New(poolOf(t), opts).Open(t.Context(), "p", func(c journal.Change) error {
		if len(got) == 0 {
			j := open(t, other, "p", want)
			appendTo(t, j, put("key 029", "of the other"), put("zz", ""))
		}
		got[string(c.Key)] = string(c.Value)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = first.Append(t.Context(), batchOf(put("a", "1")))
	require.ErrorIs(t, err, journal.ErrFenced)
}

// A before does something once, before a batch of which one statement has a text.
type before struct {
	text string
	do   func()
}

func (b *before) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		if b.do != nil && strings.Contains(q.SQL, b.text) {
			do := b.do
			b.do = nil
			do()
		}
	}
	return ctx
}

func (*before) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*before) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (*before) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (*before) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// openAfter opens a filled partition, which another one takes over in between.
func openAfter(t *testing.T, text string) (want, got contents, err error) {
	t.Helper()
	opts := fresh()
	want = filled(t, opts)
	other := postgres.New(poolOf(t), opts)
	config, err := pgxpool.ParseConfig(server(t).URL())
	require.NoError(t, err)
	tracer := &before{text, func() { appendTo(t, open(t, other, "p", want), put("a", "1")) }}
	config.ConnConfig.Tracer = tracer
	_, got, err = load(t, postgres.New(poolWith(t, config), opts), "p")
	require.Nil(t, tracer.do)
	return want, got, err
}

func TestATakeOverBeforeReading(t *testing.T) {
	_, got, err := openAfter(t, "select name, owner")
	require.ErrorIs(t, err, journal.ErrFenced)
	require.Empty(t, got)
}

func TestATakeOverBetweenHeadAndRecords(t *testing.T) {
	want, got, err := openAfter(t, "select key, value")
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// Open takes as long as emit does, whatever the timeouts are.
func TestASlowEmitIsWaitedFor(t *testing.T) {
	opts := fresh()
	want := filled(t, opts)
	opts.Timeout = 300 * time.Millisecond
	e := postgres.New(poolAt(t, server(t).URL()+" options='-c statement_timeout=300'"), opts)
	got := contents{}
	_, err := e.Open(t.Context(), "p", func(c journal.Change) error {
		if len(got) == 0 {
			time.Sleep(time.Second)
		}
		got[string(c.Key)] = string(c.Value)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// A server that sends nothing more is waited for no longer than Timeout.
func TestAStalledServerEndsOpen(t *testing.T) {
	s, opts := server(t), fresh()
	want := filled(t, opts)
	p := proxyTo(t, s.Addr())
	opts.Timeout = 300 * time.Millisecond
	n := 0
	_, err := postgres.New(through(t, s, p), opts).Open(t.Context(), "p", func(journal.Change) error {
		n++
		p.Silence(faultproxy.Server)
		return nil
	})
	p.Pass()
	require.ErrorContains(t, err, "sent nothing")
	require.Less(t, n, len(want))
}

// Nothing is left of an emit that panics.
func TestAPanicOfEmit(t *testing.T) {
	opts := fresh()
	want := filled(t, opts)
	e := postgres.New(poolOf(t), opts)
	require.PanicsWithValue(t, "mine", func() {
		_, _ = e.Open(t.Context(), "p", func(journal.Change) error { panic("mine") })
	})
	open(t, e, "p", want)
}

// An error of emit is returned as it is, even if a database has said it.
func TestAnErrorOfEmitIsReturned(t *testing.T) {
	opts := fresh()
	filled(t, opts)
	mine := &pgconn.PgError{Code: "53100", Severity: "ERROR", SeverityUnlocalized: "ERROR", Detail: "mine"}
	for _, mode := range modes {
		_, err := postgres.New(at(t, server(t).URL(), mode), opts).Open(t.Context(), "p", func(journal.Change) error { return mine })
		require.Same(t, mine, err)
	}
}

// What a config's own hooks do they do still.
func TestNewPoolKeepsHooks(t *testing.T) {
	config, err := pgxpool.ParseConfig(server(t).URL())
	require.NoError(t, err)
	connected, notices := 0, 0
	config.AfterConnect = func(context.Context, *pgx.Conn) error { connected++; return nil }
	config.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		notices++
		assert.Equal(t, "mine", n.Message)
	}
	_, err = poolWith(t, config).Exec(t.Context(), `do $$ begin raise warning 'mine'; end $$`)
	require.NoError(t, err)
	require.Equal(t, 1, connected)
	require.Equal(t, 1, notices)
}

// Two that make the tables at once do not disturb each other.
func TestTheTablesAreMadeOnce(t *testing.T) {
	for range 5 {
		opts, errs := fresh(), make(chan error)
		pools := [4]*pgxpool.Pool{}
		for i := range pools {
			pools[i] = poolOf(t)
			require.NoError(t, pools[i].Ping(t.Context()))
		}
		for i, pool := range pools {
			go func() {
				_, err := postgres.New(pool, opts).Open(t.Context(), fmt.Sprint(i), nil)
				errs <- err
			}()
		}
		for range pools {
			assert.NoError(t, <-errs)
		}
	}
}
