package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
	"github.com/loopstore/loopstore/store/lincheck"
)

// A replaced store is a loop that is replaced after every so many calls. The next loop
// opens the partition while the old one is at work, which fences it. A call that gets
// ErrClosed or ErrFenced was not applied, and is made again.
type replaced struct {
	ops.Forward
	t       testing.TB
	engine  *jetstream.Engine
	current atomic.Pointer[loopstore.Loop]
	calls   atomic.Int64
	loops   *atomic.Int64 // that were opened
	turn    sync.Mutex    // held by the call that replaces the loop
}

const (
	callsOfALoop = 200
	versions     = 2 // of a session that are kept
)

func newReplaced(t testing.TB, e *jetstream.Engine, loops *atomic.Int64) *replaced {
	s := &replaced{t: t, engine: e, loops: loops}
	s.Forward = s.try
	s.replace()
	return s
}

func (s *replaced) replace() {
	l, err := loopstore.Open(context.WithoutCancel(s.t.Context()), s.engine, "p", loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: versions}}})
	if !assert.NoError(s.t, err) {
		return
	}
	s.loops.Add(1)
	if old := s.current.Swap(l); old != nil {
		_ = old.Close()
	}
}

func (s *replaced) try(ctx context.Context, call ops.Call) error {
	if s.calls.Add(1)%callsOfALoop == 0 && s.turn.TryLock() {
		s.replace()
		s.turn.Unlock()
	}
	for {
		err := call.On(ctx, s.current.Load())
		if !errors.Is(err, store.ErrClosed) && !errors.Is(err, journal.ErrFenced) {
			return err
		}
	}
}

func (s *replaced) Close() error { return s.current.Load().Close() }

// TestLinearizableAcrossTakeOvers checks loops that are replaced while they are
// called, on real streams.
func TestLinearizableAcrossTakeOvers(t *testing.T) {
	cfg := lincheck.Config{Histories: 8, Spanning: 8, Versions: versions, Record: os.Getenv("LOOPSTORE_LINCHECK_RECORD")}
	if testing.Short() {
		cfg = lincheck.Config{Histories: 2, Spanning: 2, Versions: versions, Record: os.Getenv("LOOPSTORE_LINCHECK_RECORD")}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cluster, err := jetstreamtest.Start(ctx, t.TempDir(), jetstreamtest.Options{})
	require.NoError(t, err)
	defer cluster.Stop()
	conn, err := cluster.Connect()
	require.NoError(t, err)
	defer conn.Close()
	var loops atomic.Int64
	stores := 0
	stats := lincheck.Check(t, func() store.RuntimeStore {
		stores++
		e, err := jetstream.New(conn, jetstream.Options{Prefix: fmt.Sprint("test", stores)})
		require.NoError(t, err)
		return newReplaced(t, e, &loops)
	}, cfg)
	require.Equal(t, cfg.Histories+cfg.Spanning, stats.Histories)
	assert.Greater(t, int(loops.Load()), 2*(cfg.Histories+cfg.Spanning))
	t.Logf("%d loops", loops.Load())
}
