package engines_test

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
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
	"github.com/loopstore/loopstore/store/lincheck"
)

// A replaced store is a loop that is replaced after every so many calls. Where the engine
// takes a partition away, the next loop opens it while the old one is at work, which fences
// that; else the old one is closed first. A call that gets ErrClosed or ErrFenced was not
// applied, and is made again.
type replaced struct {
	ops.Forward
	t         testing.TB
	engine    journal.Engine
	exclusive bool // the engine takes nothing away
	opts      loopstore.Options
	current   atomic.Pointer[loopstore.Loop]
	calls     atomic.Int64
	loops     *atomic.Int64 // that were opened
	turn      sync.Mutex    // held by the call that replaces the loop
}

const (
	callsOfALoop = 200
	versions     = 2 // of a session that are kept
)

func (s *replaced) start() *replaced {
	s.Forward = s.try
	s.replace()
	return s
}

func (s *replaced) replace() {
	old := s.current.Load()
	if s.exclusive && old != nil && !assert.NoError(s.t, old.Close()) {
		return
	}
	l, err := loopstore.Open(context.WithoutCancel(s.t.Context()), s.engine, "p", s.opts)
	if !assert.NoError(s.t, err) {
		return
	}
	s.loops.Add(1)
	s.current.Store(l)
	if !s.exclusive && old != nil {
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

func config() lincheck.Config {
	cfg := lincheck.Config{Histories: 8, Spanning: 8, Versions: versions, Record: os.Getenv("LOOPSTORE_LINCHECK_RECORD")}
	if testing.Short() {
		cfg.Histories, cfg.Spanning = 2, 2
	}
	return cfg
}

// check checks loops on engines that open makes.
func check(t *testing.T, exclusive bool, cfg lincheck.Config, open func() journal.Engine) {
	var loops atomic.Int64
	opts := loopstore.Options{
		Retention:  store.Retention{Sessions: store.Keep{Last: cfg.Versions}, Keys: store.Keep{Last: cfg.Keys}},
		UniqueKeys: cfg.UniqueKeys,
		Tombstones: store.Keep{Last: cfg.Tombstones},
	}
	stats := lincheck.Check(t, func() store.RuntimeStore {
		return (&replaced{t: t, engine: open(), exclusive: exclusive, opts: opts, loops: &loops}).start()
	}, cfg)
	require.Equal(t, cfg.Histories+cfg.Spanning, stats.Histories)
	assert.Greater(t, int(loops.Load()), 2*(cfg.Histories+cfg.Spanning))
	t.Logf("%d loops", loops.Load())
}

func TestLinearizableAcrossTakeOvers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cluster, err := jetstreamtest.Start(ctx, t.TempDir(), jetstreamtest.Options{})
	require.NoError(t, err)
	defer cluster.Stop()
	conn, err := cluster.Connect()
	require.NoError(t, err)
	defer conn.Close()
	stores := 0
	check(t, false, config(), func() journal.Engine {
		stores++
		e, err := jetstream.New(conn, jetstream.Options{Prefix: fmt.Sprint("test", stores)})
		require.NoError(t, err)
		return e
	})
}

// Checkpoints and compactions go on beside the calls. Keys are unique, and some of them and
// tombstones are kept.
func TestLinearizableAcrossReopening(t *testing.T) {
	cfg := config()
	cfg.UniqueKeys, cfg.Keys, cfg.Tombstones = true, 2, 9
	check(t, true, cfg, func() journal.Engine {
		return disk.New(t.TempDir(), disk.Options{CheckpointBytes: 64 << 10, CompactAt: 0.01})
	})
}
