package lincheck_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/lincheck"
	"github.com/loopstore/loopstore/store/state"
)

// A pieced store is a restarting one whose journal takes so little at once that imports
// and deletions go in pieces. Between the pieces its loop is often replaced. It has what
// a Loop has to import, export, list and load what is filed.
type pieced struct {
	*restarting
	cutter *cutting
}

// pieces count, over all stores of a test, the batches of each kind, and at which of
// them loops were replaced.
type pieces struct {
	opened       atomic.Int64
	stored, cuts [clearingPiece + 1]atomic.Int64
}

func newPieced(t testing.TB, says, takes journal.Limits, cfg lincheck.Config, seen *pieces) *pieced {
	engine := &cutting{Memory: &journaltest.Memory{Limits: takes}, says: says, seen: seen}
	s := &pieced{&restarting{engine: engine, opened: &seen.opened, turn: make(chan struct{}, 1), opts: optionsOf(cfg), t: t}, engine}
	s.Forward = s.try
	engine.of = s.restarting
	s.open()
	return s
}

// Close waits for loops that were replaced.
func (s *pieced) Close() error {
	s.turn <- struct{}{} // for good: nothing replaces the last one
	s.cutter.replaced.Wait()
	return s.restarting.Close()
}

func (s *pieced) Import(ctx context.Context, r io.Reader) (held store.Totals, err error) {
	var read bytes.Buffer
	err = s.on(func(l *loopstore.Loop) (err error) {
		held, err = l.Import(ctx, io.MultiReader(bytes.NewReader(bytes.Clone(read.Bytes())), io.TeeReader(r, &read)))
		return err
	})
	return held, err
}

func (s *pieced) Export(ctx context.Context, w io.Writer) error {
	return s.on(func(l *loopstore.Loop) error { return l.Export(ctx, w) }) // which writes nothing if the loop has ended
}

func (s *pieced) LoadSession(ctx context.Context, id store.SessionID) (filed store.Snapshot, ok bool, err error) {
	err = s.on(func(l *loopstore.Loop) (err error) {
		filed, ok, err = l.LoadSession(ctx, id)
		return err
	})
	return filed, ok, err
}

func (s *pieced) DeleteRuntime(ctx context.Context, id store.RuntimeID) (gone state.Removed, err error) {
	err = s.on(func(l *loopstore.Loop) (err error) {
		gone, err = l.DeleteRuntime(ctx, id)
		return err
	})
	return gone, err
}

// Runtimes yields the first page.
func (s *pieced) Runtimes(ctx context.Context, listing state.Listing) iter.Seq2[state.RuntimeSummary, error] {
	return func(yield func(state.RuntimeSummary, error) bool) {
		var found state.Page[state.RuntimeSummary]
		err := s.on(func(l *loopstore.Loop) (err error) {
			found, err = loopstore.Do(ctx, l, ops.ListRuntimes{Listing: listing})
			return err
		})
		if err != nil {
			yield(state.RuntimeSummary{}, err)
			return
		}
		for _, one := range found.Items {
			if !yield(one, nil) {
				return
			}
		}
	}
}

// A cutting engine replaces the loop that appends at some pieces: before it stores the
// piece, after that, or soon.
type cutting struct {
	*journaltest.Memory
	says     journal.Limits // by which imports and deletions go in pieces
	of       *restarting
	seen     *pieces
	replaced sync.WaitGroup // loops that are being closed

	mu      sync.Mutex
	adopted bool   // an import has become true
	cuts    int    // of imports
	tried   [4]int // cuts of each kind: the first end and the first that clears are always cut
}

// mostCuts is how often imports into one store are cut, so that they come to an end.
const mostCuts = 12

func (e *cutting) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := e.Memory.Open(ctx, partition, emit)
	return cut{j, e}, err
}

type cut struct {
	journal.Journal
	by *cutting
}

func (j cut) Limits() journal.Limits { return j.by.says }

func (j cut) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	before, after := j.by.plan(b)
	for range 3 * len(b.Changes) { // others come between
		runtime.Gosched()
	}
	if before {
		j.by.kill()
	}
	at, err := j.Journal.Append(ctx, b)
	if err == nil {
		j.by.count(b)
	}
	if after {
		j.by.kill()
	}
	return at, err
}

// kill opens the store again while its loop is at work.
func (e *cutting) kill() {
	select {
	case e.of.turn <- struct{}{}:
		defer func() { <-e.of.turn }()
	default:
		return
	}
	if old := e.of.current.Load(); old != nil {
		e.of.open()
		e.replaced.Go(func() { _ = old.Close() })
	}
}

// What a batch is.
const (
	ordinary = iota
	importPiece
	importEnd
	clearingPiece
)

func (e *cutting) kind(b journal.Batch) int {
	puts, heads, far := 0, 0, 0
	for _, c := range b.Changes {
		if len(c.Key) < 9 { // the first record
			continue
		}
		if c.Key[0] == 1 && len(c.Key) == 10 && c.Key[9] == 0 {
			heads++
		}
		if !c.Delete {
			puts++
			if binary.BigEndian.Uint64(c.Key[1:]) >= 1<<32 { // of an import
				far++
			}
		}
	}
	switch {
	case len(b.Changes) == 1:
		return importEnd
	case puts == 0 && heads == 0:
		return clearingPiece
	case far > 0 && !e.adopted:
		return importPiece
	}
	return ordinary
}

// plan says whether the loop is killed before it stores a batch, or after that. Or it is
// closed soon.
func (e *cutting) plan(b journal.Batch) (before, after bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	kind := e.kind(b)
	odds := [...]int{importPiece: 10, importEnd: 3, clearingPiece: 2}[kind]
	if first := e.tried[kind] == 0 && kind != importPiece; odds == 0 || !first && rand.IntN(odds) > 0 {
		return false, false
	}
	e.tried[kind]++
	if kind != clearingPiece {
		if e.cuts++; e.cuts > mostCuts {
			return false, false
		}
	}
	e.seen.cuts[kind].Add(1)
	switch rand.IntN(3) {
	case 0:
		return true, false
	case 1:
		return false, true
	}
	e.replaced.Go(e.of.restart)
	return false, false
}

func (e *cutting) count(b journal.Batch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	kind := e.kind(b)
	e.seen.stored[kind].Add(1)
	e.adopted = e.adopted || kind == importEnd
}

// TestLinearizableImportsInPieces checks loops whose imports take several batches,
// between which others call, and loops are replaced.
func TestLinearizableImportsInPieces(t *testing.T) {
	cfg := keepingAll
	cfg.Histories, cfg.Spanning, cfg.Importing = 1, 1, histories/4
	limits := journal.Limits{BatchBytes: 12 << 10}
	stats, seen := checkPieced(t, limits, limits, cfg)
	assert.Greater(t, stats.Imports, stats.Histories/2)
	assert.Greater(t, int(seen.stored[importPiece].Load()), 3*int(seen.stored[importEnd].Load()))
	assert.Positive(t, seen.cuts[importPiece].Load())
	assert.Positive(t, seen.cuts[importEnd].Load())
}

// TestLinearizableDeletionsInPieces checks loops whose runtimes are mostly deleted in
// pieces, and made again meanwhile. Loops are replaced before all is cleared. The engine
// takes more than it says, so that there are large texts to clear.
func TestLinearizableDeletionsInPieces(t *testing.T) {
	for name, cfg := range map[string]lincheck.Config{"plain": {}, "with unique keys and tombstones": keepingAll} {
		t.Run(name, func(t *testing.T) { checkDeletionsInPieces(t, cfg) })
	}
}

func checkDeletionsInPieces(t *testing.T, cfg lincheck.Config) {
	cfg.Histories, cfg.Spanning, cfg.Importing = histories/20, histories/10, histories/10
	_, seen := checkPieced(t, journal.Limits{BatchBytes: 2 << 10}, journal.Limits{}, cfg)
	assert.Greater(t, int(seen.stored[clearingPiece].Load()), cfg.Histories)
	assert.Positive(t, seen.cuts[clearingPiece].Load())
}

// checkPieced checks loops on engines that say what a batch may have, and take as much or
// more.
func checkPieced(t *testing.T, says, takes journal.Limits, cfg lincheck.Config) (lincheck.Stats, *pieces) {
	if *long {
		cfg.Histories *= 10
		cfg.Spanning *= 10
		cfg.Importing *= 10
	}
	cfg.Versions, cfg.TooLarge, cfg.Record = restartingVersions, journal.ErrRejected, record
	seen := new(pieces)
	stats := lincheck.Check(t, func() store.RuntimeStore { return newPieced(t, says, takes, cfg, seen) }, cfg)
	require.Equal(t, cfg.Histories+cfg.Spanning+cfg.Importing, stats.Histories)
	t.Logf("%d loops; stored %d pieces of imports, %d ends of them and %d that clear, of which %d, %d and %d were cut", seen.opened.Load(),
		seen.stored[importPiece].Load(), seen.stored[importEnd].Load(), seen.stored[clearingPiece].Load(),
		seen.cuts[importPiece].Load(), seen.cuts[importEnd].Load(), seen.cuts[clearingPiece].Load())
	assert.Less(t, stats.TooLarge, stats.Operations/50)
	return stats, seen
}
