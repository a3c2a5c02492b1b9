package cluster_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// A writer stores inputs of one runtime, numbered in the order of its calls, and
// notes what became of each.
type writer struct {
	id           store.RuntimeID
	acknowledged []uint64
	unknown      map[uint64]bool
}

func input(n uint64) store.InputState {
	s := store.InputState{CurrentState: store.InputAccepted}
	binary.BigEndian.PutUint64(s.InputID[8:], n)
	return s
}

// A history is the batches of each partition, by the holders that stored them.
type history struct {
	journal.Engine
	mu     sync.Mutex
	epochs map[string][]uint64 // of each batch, in the order in which it was stored
}

func (h *history) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := h.Engine.Open(ctx, partition, emit)
	if err != nil {
		return nil, err
	}
	return &noted{j, h, partition}, nil
}

type noted struct {
	journal.Journal
	history   *history
	partition string
}

func (n *noted) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	n.history.mu.Lock()
	defer n.history.mu.Unlock()
	at, err := n.Journal.Append(ctx, b)
	if err == nil {
		n.history.epochs[n.partition] = append(n.history.epochs[n.partition], at.Epoch)
	}
	return at, err
}

// Members pause, die, come back and join, while routers of all of them write. What
// was acknowledged is there in the end, once; what was refused is not; no load
// shows less than was acknowledged before it; and the holders of a partition follow one upon another.
func TestNothingIsLostOrDoubled(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() {
		seeds = 3
	}
	acknowledged, refused, holders, loads, died := 0, 0, 0, 0, 0
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			s := &simulation{crew: newCrew(t, 4), rand: rand.New(rand.NewPCG(seed, 7)), left: map[string]bool{}}
			// The engine behind notices no fence before an append.
			s.history = &history{Engine: journaltest.NewFaulty(s.memory), epochs: map[string][]uint64{}}
			s.engine = s.history
			s.run(t)
			acknowledged, refused, holders, loads, died = acknowledged+s.acknowledged, refused+s.refused, holders+s.holders, loads+s.loads, died+s.died
		})
	}
	assert.Greater(t, acknowledged, 1000)
	assert.Greater(t, refused, 100)
	assert.Greater(t, holders, 10)
	assert.Greater(t, loads, 1000)
	assert.Positive(t, died)
	t.Logf("%d acknowledged, %d refused, %d loads, %d changes of a holder under load, %d deaths told", acknowledged, refused, loads, holders, died)
}

type simulation struct {
	*crew
	mu      sync.Mutex // of crew.members
	history *history
	rand    *rand.Rand
	left    map[string]bool // by their addresses: members that have left in good order

	acknowledged, refused, holders, loads, joins, died int
}

func (s *simulation) run(t *testing.T) {
	names := []string{"a", "b", "c"}
	s.join(names...)
	time.Sleep(3 * lease)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	writers := make([]*writer, 8)
	for i := range writers {
		w := &writer{id: store.RuntimeID(fmt.Sprint("r", i)), unknown: map[uint64]bool{}}
		writers[i] = w
		r := rand.New(rand.NewPCG(s.rand.Uint64(), 0))
		wg.Go(func() { s.write(t, ctx, w, r) })
	}
	for range 12 {
		s.disturb(t, names[s.rand.IntN(len(names))])
		time.Sleep(time.Duration(s.rand.Int64N(int64(2 * lease))))
	}
	for _, h := range s.members {
		h.line.mend()
	}
	time.Sleep(6 * lease)
	stop()
	wg.Wait()
	s.balanced()
	s.check(t, writers)
}

// disturb does something to a member.
func (s *simulation) disturb(t *testing.T, name string) {
	s.mu.Lock()
	h := s.members[name]
	s.mu.Unlock()
	switch s.rand.IntN(5) {
	case 0:
		h.line.cut()
	case 1:
		h.line.hang.Store(true)
	case 2:
		h.line.deaf.Store(true)
	case 3:
		h.line.mend()
	case 4:
		before := h.Status()
		well := slices.ContainsFunc(before.Members, func(m cluster.MemberStatus) bool {
			return m.Member == before.Self && time.Since(m.Beat) < lease/2
		})
		if err := h.Close(); err == nil && well {
			s.left[before.Self.Address] = true
		}
		opts, l := s.options(name)
		s.joins++
		opts.Self.Address = fmt.Sprintf("%s:again-%d", name, s.joins)
		n, err := cluster.Join(context.WithoutCancel(t.Context()), opts)
		require.NoError(t, err)
		s.mu.Lock()
		s.members[name] = &hand{n, l}
		s.mu.Unlock()
	}
}

// reach is a Remote, and what a writer asks for a member.
func (s *simulation) reach(m cluster.Member) (store.RuntimeStore, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[m.Name].Router(nil), nil
}

// write makes one call after another at any member, and repeats none.
func (s *simulation) write(t *testing.T, ctx context.Context, w *writer, r *rand.Rand) {
	for n := uint64(0); ctx.Err() == nil; n++ {
		s.mu.Lock()
		h := s.members[string(rune('a'+r.IntN(3)))]
		s.mu.Unlock()
		err := h.Router(s.reach).PersistInputState(ctx, w.id, input(n))
		s.mu.Lock()
		switch {
		case err == nil:
			w.acknowledged = append(w.acknowledged, n)
			s.acknowledged++
		case errors.Is(err, store.ErrOutcomeUnknown):
			w.unknown[n] = true
		default:
			assert.True(t, errors.Is(err, cluster.ErrNotHolder) || errors.Is(err, store.ErrClosed) || errors.Is(err, context.Canceled), err)
			s.refused++
		}
		members := []*hand{s.members["a"], s.members["b"], s.members["c"]}
		s.mu.Unlock()
		s.readBack(t, members[r.IntN(3)], w)
		time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
	}
}

// readBack looks at any member for what was acknowledged: whoever answers a load
// has all of it.
func (s *simulation) readBack(t *testing.T, h *hand, w *writer) {
	states, err := h.Router(s.reach).LoadInputStates(t.Context(), w.id)
	if err != nil {
		return
	}
	assert.GreaterOrEqual(t, len(states), len(w.acknowledged), "an answer lacks what was acknowledged before")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
}

// check compares what is there with what the writers have noted.
func (s *simulation) check(t *testing.T, writers []*writer) {
	for _, w := range writers {
		p := cluster.PartitionOf(w.id, s.partitions)
		states, err := s.members[s.holder(p)].Router(nil).LoadInputStates(t.Context(), w.id)
		require.NoError(t, err)
		var there []uint64
		for _, state := range states {
			if n := binary.BigEndian.Uint64(state.InputID[8:]); !w.unknown[n] {
				there = append(there, n)
			}
		}
		require.Equal(t, w.acknowledged, there, "in the order in which they were acknowledged, none lost, none doubled")
	}
	for _, h := range s.members {
		for _, gone := range h.Status().Gone {
			if gone.Died(lease) {
				s.died++
				require.NotContains(t, s.left, gone.Address, "who has left is not said to have died")
			}
		}
	}
	for partition, epochs := range s.history.epochs {
		for i := 1; i < len(epochs); i++ {
			require.GreaterOrEqual(t, epochs[i], epochs[i-1], "partition %s, batch %d", partition, i)
			if epochs[i] > epochs[i-1] {
				s.holders++
			}
		}
	}
}
