package disk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

const (
	agents      = 200
	inputsEach  = 6
	deletes     = 4 // each of so many agents goes when its last input is consumed
	poolWorkers = 16
)

var poolOptions = loopstore.Options{
	Queue:      state.Queue{Ready: []store.InputLifecycleState{store.InputQueued}, Busy: []store.InputLifecycleState{store.InputStaged}},
	Tombstones: store.Keep{Last: agents},
}

// A pool of workers has the turns of all agents. It knows which input of each is next.
type pool struct {
	loop  *loopstore.Loop
	turns [agents]atomic.Bool
	next  [agents]int
	left  atomic.Int64
	said  func(agent, input int)
}

func agentOf(n int) store.RuntimeID { return store.RuntimeID(fmt.Sprint("agent-", n)) }

func taskOf(agent, n int) store.InputID { return store.InputIDOf(fmt.Sprint(agent, "/", n)) }

// begin looks at what an earlier life has left, and puts back what was under way.
func (p *pool) begin(ctx context.Context) error {
	for n := range agents {
		view, err := p.loop.View(ctx, agentOf(n))
		if err != nil {
			return err
		}
		place, underWay := 0, 0
		for in := range view.Inputs() {
			switch in.State.CurrentState {
			case store.InputConsumed:
				if p.next[n]++; p.next[n] != place+1 {
					return fmt.Errorf("input %d of %q is consumed before another", place, view.RuntimeID())
				}
			case store.InputStaged:
				underWay++
				if err := p.move(ctx, view.RuntimeID(), in, store.InputQueued); err != nil {
					return err
				}
			}
			if err := onceConsumed(in.State); err != nil {
				return err
			}
			place++
		}
		if underWay > 1 {
			return fmt.Errorf("%d inputs of %q are under way", underWay, view.RuntimeID())
		}
		p.left.Add(int64(place - p.next[n]))
	}
	return nil
}

// onceConsumed looks for a transition that is lost, or there twice.
func onceConsumed(s store.InputState) error {
	stands := store.InputQueued
	for _, h := range s.History {
		if h.From != stands || stands == store.InputConsumed {
			return fmt.Errorf("from %q to %q, and it was %q", h.From, h.To, stands)
		}
		stands = h.To
	}
	if stands != s.CurrentState {
		return fmt.Errorf("it is %q, and was moved to %q", s.CurrentState, stands)
	}
	return nil
}

// move moves an input on, if it is as it was seen.
func (p *pool) move(ctx context.Context, id store.RuntimeID, in state.Input, to store.InputLifecycleState) error {
	if err := in.State.Move(to, store.TimeOf(time.Now()), ""); err != nil {
		return err
	}
	_, err := p.loop.Commit(ctx, batch.Batch{
		If:   []batch.Condition{batch.InputVersionIs{RuntimeID: id, InputID: in.State.InputID, Version: in.Version}},
		Then: []batch.Write{batch.PutInputState{RuntimeID: id, State: in.State}},
	})
	return err
}

// work has all turns that are left.
func (p *pool) work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errAll := errors.New("all is done")
	if p.left.Load() == 0 {
		return nil
	}
	var wg sync.WaitGroup
	for range poolWorkers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := p.turn(ctx); err != nil {
					cancel(err)
				}
				if p.left.Load() == 0 {
					cancel(errAll)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != errAll {
		return err
	}
	return nil
}

func (p *pool) turn(ctx context.Context) error {
	c, err := p.loop.ClaimNext(ctx, store.Claim{To: store.InputStaged})
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	var n int
	if _, err := fmt.Sscanf(string(c.RuntimeID), "agent-%d", &n); err != nil {
		return err
	}
	if !p.turns[n].CompareAndSwap(false, true) {
		return fmt.Errorf("two turns of %q overlap", c.RuntimeID)
	}
	task := p.next[n]
	if p.next[n]++; c.State.InputID != taskOf(n, task) {
		return fmt.Errorf("a turn of %q is not that of input %d", c.RuntimeID, task)
	}
	runtime.Gosched()
	p.turns[n].Store(false)
	if err := p.move(ctx, c.RuntimeID, c.Input, store.InputConsumed); err != nil {
		return err
	}
	p.said(n, task)
	if n%deletes == 0 && task == inputsEach-1 {
		if _, err := p.loop.DeleteRuntime(ctx, c.RuntimeID); err != nil {
			return err
		}
	}
	p.left.Add(-1)
	return nil
}

// A memory is what a follower of all changes keeps from one life to the next.
type memory struct {
	Cursor state.ChangeCursor
	Known  map[store.RuntimeID]uint64 // versions
}

func remembered(path string) (m memory, err error) {
	kept, err := os.ReadFile(path + ".memory")
	if os.IsNotExist(err) {
		return memory{Known: map[store.RuntimeID]uint64{}}, nil
	}
	if err == nil {
		err = json.Unmarshal(kept, &m)
	}
	return m, err
}

func (m *memory) keep(path string) error {
	kept, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(path+".new", kept, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path+".memory")
	}
	return err
}

// follow goes on with what is remembered, as far as a cursor, if that is not empty.
func (m *memory) follow(ctx context.Context, l *loopstore.Loop, path string, end state.ChangeCursor) error {
	for c, err := range l.Changes(ctx, m.Cursor) {
		if err != nil {
			return err
		}
		if m.Known[c.RuntimeID] = c.Version; c.What.Has(state.RuntimeDeleted) {
			delete(m.Known, c.RuntimeID)
		}
		m.Cursor = c.Cursor
		if err := m.keep(path); err != nil || c.Cursor == end {
			return err
		}
	}
	return nil
}

// claimForEver is what a child does: a pool goes on where the journal ends.
func claimForEver(t *testing.T, path string) {
	l := openLoopWith(t, path, poolOptions)
	m, err := remembered(path)
	require.NoError(t, err)
	go func() { panic(m.follow(context.WithoutCancel(t.Context()), l, path, "")) }()
	var out sync.Mutex
	p := &pool{loop: l, said: func(agent, input int) {
		out.Lock()
		defer out.Unlock()
		fmt.Println("consumed", agent, input)
	}}
	require.NoError(t, p.begin(t.Context()))
	if err := p.work(t.Context()); err != nil {
		panic(err)
	}
	fmt.Println("all")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// A pool of workers is killed at any moment, again and again, and puts back what was under
// way: each input is consumed once, one of an agent at a time, and who follows all changes
// from the cursor that was kept knows in the end what there is.
func TestKilledPools(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 4
	}
	path := filepath.Join(t.TempDir(), "journal")
	l := openLoopWith(t, path, poolOptions)
	_, err := l.ChangesCursor(t.Context()) // the next write stores what cursors name
	require.NoError(t, err)
	for n := range agents {
		var writes []batch.Write
		for task := range inputsEach {
			input := store.NewInputState(taskOf(n, task), store.TimeOf(time.Unix(1, 0)))
			input.CurrentState = store.InputQueued
			writes = append(writes, batch.PutInputState{RuntimeID: agentOf(n), State: input})
		}
		_, err := l.Commit(t.Context(), batch.Batch{Then: writes})
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())

	consumed := map[[2]int]bool{}
	note := func(line string) {
		var at [2]int
		if n, _ := fmt.Sscanf(line, "consumed %d %d", &at[0], &at[1]); n < 2 {
			return // cut off, or the test's own
		}
		require.False(t, consumed[at], "%v is consumed twice", at)
		consumed[at] = true
	}
	r := rand.New(rand.NewPCG(2, 4))
	for range kills {
		c := start(t, "claim", path)
		for range 1 + r.IntN(2*agents*inputsEach/(3*kills)) {
			require.True(t, c.out.Scan(), "the child has ended by itself")
			if note(c.out.Text()); c.out.Text() == "all" {
				break
			}
		}
		time.AfterFunc(time.Duration(r.IntN(3000))*time.Microsecond, func() { _ = c.Process.Kill() })
		for c.out.Scan() {
			note(c.out.Text())
		}
		_ = c.Wait()
	}

	l = openLoopWith(t, path, poolOptions)
	defer func() { require.NoError(t, l.Close()) }()
	var out sync.Mutex
	p := &pool{loop: l, said: func(agent, input int) {
		out.Lock()
		defer out.Unlock()
		note(fmt.Sprintln("consumed", agent, input))
	}}
	require.NoError(t, p.begin(t.Context()))
	t.Logf("%d inputs are left after %d kills", p.left.Load(), kills)
	require.NoError(t, p.work(t.Context()))
	end := &pool{loop: l}
	require.NoError(t, end.begin(t.Context()))
	assert.Zero(t, end.left.Load())
	for at := range consumed {
		assert.Contains(t, []int{0, inputsEach}, end.next[at[0]])
	}

	m, err := remembered(path)
	require.NoError(t, err)
	require.NotEmpty(t, m.Cursor)
	now, err := l.ChangesCursor(t.Context())
	require.NoError(t, err)
	if m.Cursor != now {
		require.NoError(t, m.follow(t.Context(), l, path, now))
	}
	there := map[store.RuntimeID]uint64{}
	for s, err := range l.Runtimes(t.Context(), state.Listing{}) {
		require.NoError(t, err)
		there[s.RuntimeID] = s.Version
	}
	assert.Equal(t, there, m.Known)
}
