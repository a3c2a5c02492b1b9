package jetstream

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
)

// oneServer starts a server, and returns a connection to it.
func oneServer(t *testing.T) *nats.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := jetstreamtest.Start(ctx, t.TempDir(), jetstreamtest.Options{Nodes: 1, Lazy: true})
	require.NoError(t, err)
	t.Cleanup(c.Stop)
	conn, err := c.Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return conn
}

func newOne(t *testing.T, conn *nats.Conn, o Options) *Engine {
	t.Helper()
	o.Replicas = 1
	e, err := New(conn, o)
	require.NoError(t, err)
	return e
}

// openOne opens a partition, and returns what stands in it.
func openOne(t *testing.T, e *Engine, name string) (*partition, map[string][]byte) {
	t.Helper()
	values := map[string][]byte{}
	j, err := e.Open(t.Context(), name, func(c journal.Change) error {
		values[string(c.Key)] = bytes.Clone(c.Value)
		return nil
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close(context.WithoutCancel(t.Context()))) })
	return j.(*partition), values
}

func appendTo(t *testing.T, p *partition, changes ...journal.Change) {
	t.Helper()
	_, err := p.Append(t.Context(), batch(changes))
	require.NoError(t, err)
}

func batch(changes []journal.Change) journal.Batch {
	b := journal.Batch{Changes: changes}
	_, _ = rand.Read(b.ID[:])
	return b
}

func putOf(key string, n int) journal.Change {
	value := make([]byte, n)
	_, _ = rand.Read(value)
	return journal.Change{Key: []byte(key), Value: value}
}

func deleteOf(key string) journal.Change { return journal.Change{Key: []byte(key), Delete: true} }

// A model is what stood after each batch.
type model struct {
	*mathrand.Rand
	large bool // some values are
	now   map[string][]byte
	after map[uint64]map[string][]byte
}

// batch makes up a batch: of few keys, so that most of it replaces something, also within
// the batch.
func (m *model) batch() (changes []journal.Change) {
	for range 1 + m.IntN(20) {
		key := fmt.Sprint("key ", m.IntN(25))
		switch n := m.IntN(60); {
		case n < 20:
			changes = append(changes, deleteOf(key))
		case n == 20 && m.large:
			changes = append(changes, putOf(key, 100<<10+m.IntN(2<<20)))
		default:
			changes = append(changes, putOf(key, m.IntN(10<<10)))
		}
	}
	return changes
}

func (m *model) append(t *testing.T, p *partition) {
	t.Helper()
	changes := m.batch()
	at, err := p.Append(t.Context(), batch(changes))
	if errors.Is(err, journal.ErrRejected) { // it is full: that a compaction is under way changes with the machine
		return
	}
	require.NoError(t, err)
	put(m.now, changes)
	m.after[at.Index] = maps.Clone(m.now)
}

// Whatever is appended, compacted, taken over and closed beside each other, a journal that
// ends with any of its entries holds what was appended up to it, and nothing else.
func TestEveryEntryOfAnyHistoryLeavesWhatStood(t *testing.T) {
	conn := oneServer(t)
	seeds := uint64(8)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomHistory(t, conn, seed) })
	}
}

func randomHistory(t *testing.T, conn *nats.Conn, seed uint64) {
	e := newOne(t, conn, Options{Prefix: fmt.Sprint("random", seed)})
	name, err := e.StreamName("p")
	require.NoError(t, err)
	m := &model{mathrand.New(mathrand.NewPCG(seed, 1)), seed%2 == 0, map[string][]byte{}, map[uint64]map[string][]byte{0: {}}}
	config := e.config(name)
	if config.MaxBytes = 4 << 20; m.large { // copies are small in a small stream, and begin by themselves
		config.MaxBytes = 48 << 20
	}
	source, err := e.js.CreateStream(t.Context(), config)
	require.NoError(t, err)
	all := listen(t, e, name)
	var beside sync.WaitGroup
	p, _ := openOne(t, e, "p")
	for range 150 {
		switch m.IntN(12) {
		case 0:
			now := p
			beside.Go(func() { _ = now.CompactBeside(t.Context()) })
		case 1:
			require.NoError(t, p.CompactBeside(t.Context()))
		case 2:
			now, soon := p, time.Duration(m.IntN(20))*time.Millisecond
			beside.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), soon)
				defer cancel()
				_ = now.CompactBeside(ctx)
			})
		case 3: // taken over, also in the middle of a compaction
			if m.IntN(2) == 0 {
				require.NoError(t, p.Close(t.Context()))
			}
			next, values := openOne(t, e, "p")
			require.Empty(t, differ(m.now, values))
			beside.Wait()
			p = next
		default:
			m.append(t, p)
		}
	}
	beside.Wait()
	require.NoError(t, p.Close(t.Context()))
	info, err := source.Info(t.Context())
	require.NoError(t, err)
	last, err := source.GetMsg(t.Context(), info.State.LastSeq)
	require.NoError(t, err)
	entries := all.until(t, last.Data)
	require.Len(t, entries, int(info.State.LastSeq))
	require.LessOrEqual(t, info.State.FirstSeq, entries[len(entries)-1].horizon)
	moved := 0
	for n, last := range entries {
		if n > 0 && last.horizon > entries[n-1].horizon {
			moved++
		}
		if last.part+1 < last.parts || m.after[last.position.Index] == nil {
			continue
		}
		got := newReading(last.horizon)
		for _, r := range entries[last.horizon-1 : n+1] {
			require.NoError(t, got.add(r.entry, r.data), "up to sequence %d", n+1)
		}
		require.Empty(t, differ(m.after[last.position.Index], got.values), "up to sequence %d", n+1)
	}
	require.Positive(t, moved)
	t.Logf("%d entries, the horizon moved %d times, to %d", len(entries), moved, info.State.FirstSeq)
}

// differ names a key whose value is not as wanted.
func differ(want, got map[string][]byte) string {
	for key := range want {
		if !bytes.Equal(want[key], got[key]) {
			return key
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			return key
		}
	}
	return ""
}

// A log is everything that was published to a stream, also what the servers refused.
type log struct {
	mu  sync.Mutex
	all map[digest][]byte
}

func listen(t *testing.T, e *Engine, stream string) *log {
	t.Helper()
	l := &log{all: map[digest][]byte{}}
	heard, err := e.conn.Subscribe(e.subject(stream), func(m *nats.Msg) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all[sha256.Sum256(m.Data)] = m.Data
	})
	require.NoError(t, err)
	require.NoError(t, heard.SetPendingLimits(-1, -1))
	t.Cleanup(func() { require.NoError(t, heard.Unsubscribe()) })
	return l
}

// A logged entry was stored, and may have been removed since.
type logged struct {
	entry
	data []byte
}

// until returns the entries from the first one to the last, by what each says of the one
// before.
func (l *log) until(t *testing.T, last []byte) (entries []logged) {
	t.Helper()
	for data := last; data != nil; {
		r, err := decode(data)
		require.NoError(t, err)
		entries = append(entries, logged{r, data})
		if data = nil; r.previous != (digest{}) {
			require.Eventually(t, func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				data = l.all[r.previous]
				return data != nil
			}, 20*time.Second, time.Millisecond)
		}
	}
	slices.Reverse(entries)
	return entries
}
