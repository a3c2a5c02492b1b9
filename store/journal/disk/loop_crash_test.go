package disk_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/session"
)

const workers = 8

// A worker's n-th step stores input n in its two runtimes, by one batch, then
// commits a session of n%40+1 messages that stamps it, and then moves on the
// first one's state. A step that is refused comes in between.
type worker struct {
	loop *loopstore.Loop
	name int
}

func (w worker) first() store.RuntimeID  { return store.RuntimeID(fmt.Sprintf("worker-%d", w.name)) }
func (w worker) second() store.RuntimeID { return w.first() + " beside" }

func inputOf(n uint64) (id store.InputID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

var refusedInput = store.InputID{0xff}

// step does one step, and says each part that is acknowledged.
func (w worker) step(ctx context.Context, n uint64, said func(part int)) error {
	input := store.NewInputState(inputOf(n), store.Time{})
	_, err := w.loop.Commit(ctx, batch.Batch{Then: []batch.Write{
		batch.PutInputState{RuntimeID: w.first(), State: input}, batch.PutInputState{RuntimeID: w.second(), State: input},
	}})
	if err != nil {
		return err
	}
	said(0)
	input.InputID = refusedInput
	if _, err := w.loop.Commit(ctx, batch.Batch{
		If:   []batch.Condition{batch.InputAbsent{RuntimeID: w.first(), InputID: inputOf(n)}},
		Then: []batch.Write{batch.PutInputState{RuntimeID: w.first(), State: input}},
	}); !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("not refused: %w", err)
	}
	input.InputID = inputOf(n)
	if _, err := w.loop.CommitSessionBoundary(ctx, w.first(), store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: snapshotOf(int(n%40) + 1)}, Boundary: store.RunCheckpoint,
		ContributingInputIDs: []store.InputID{input.InputID}, InputUpdates: []store.InputState{input},
	}); err != nil {
		return err
	}
	said(1)
	input.CurrentState = store.InputConsumed
	if err := w.loop.AtomicLifecycleCommit(ctx, w.first(), store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: []store.InputState{input}}); err != nil {
		return err
	}
	said(2)
	return nil
}

// workForEver is what a child does: it goes on where the journal ends.
func workForEver(t *testing.T, path string) {
	l := openLoop(t, path)
	var out sync.Mutex
	var wg sync.WaitGroup
	for name := range workers {
		wg.Go(func() {
			w := worker{l, name}
			states, err := l.LoadInputStates(t.Context(), w.first())
			for n := uint64(len(states)); err == nil; n++ {
				err = w.step(t.Context(), n, func(part int) {
					out.Lock()
					defer out.Unlock()
					fmt.Println("done", name, n, part)
				})
			}
			panic(err)
		})
	}
	wg.Wait()
}

// check compares what a worker left with the last part that was acknowledged,
// which is at most one behind.
func (w worker) check(ctx context.Context, done [2]uint64) error {
	states, err := w.loop.LoadInputStates(ctx, w.first())
	if err != nil {
		return err
	}
	beside, err := w.loop.LoadInputStates(ctx, w.second())
	if err != nil {
		return err
	}
	parts := 0 // of the last step
	for n, state := range states {
		if state.InputID != inputOf(uint64(n)) || n >= len(beside) || beside[n].InputID != state.InputID {
			return fmt.Errorf("input %d is not there, or half of its batch", n)
		}
		parts = 1
		if state.LastBoundarySequence != nil {
			parts = 2
			if *state.LastBoundarySequence != uint64(n) && n < len(states)-1 {
				return fmt.Errorf("input %d is stamped with %d", n, *state.LastBoundarySequence)
			}
		}
		if state.CurrentState == store.InputConsumed {
			parts = 3
		}
		if n < len(states)-1 && parts < 3 {
			return fmt.Errorf("input %d is half done, and there is another after it", n)
		}
	}
	if got := uint64(3*(len(states)-1) + parts); got != done[0] && got != done[1] {
		return fmt.Errorf("%d parts are there, and %d or %d were acknowledged", got, done[0], done[1])
	}
	return w.checkSession(ctx)
}

// checkSession looks for gaps among the receipts, and compares the last with the
// snapshot.
func (w worker) checkSession(ctx context.Context) error {
	view, err := w.loop.View(ctx, w.first())
	if err != nil {
		return err
	}
	receipts := slices.Collect(view.Receipts(store.RunID{}))
	for n, r := range receipts {
		if r.Sequence != uint64(n) {
			return fmt.Errorf("receipt %d has sequence %d", n, r.Sequence)
		}
	}
	snapshot, ok := view.Snapshot()
	if !ok || len(receipts) == 0 {
		return nil
	}
	d, err := session.Read(snapshot.String())
	if err != nil {
		return err
	}
	if last := receipts[len(receipts)-1]; d.HexDigest() != *last.ConversationDigest {
		return errors.New("the snapshot is not that of the last receipt")
	}
	return nil
}

// A process under load is killed at any moment, again and again: all that was
// acknowledged is there, whole, and at most one more call of each worker.
func TestKilledLoops(t *testing.T) {
	kills := 30
	if testing.Short() {
		kills = 5
	}
	path := filepath.Join(t.TempDir(), "journal")
	r := rand.New(rand.NewPCG(1, 2))
	done := [workers]uint64{}
	total := uint64(0)
	for kill := range kills {
		c := start(t, "work", path)
		lines := 1 + r.IntN(400)
		said := 0
		for said < lines && c.out.Scan() {
			said++
			note(t, &done, c.out.Text())
		}
		require.Equal(t, lines, said, "the child has ended by itself")
		time.AfterFunc(time.Duration(r.IntN(3000))*time.Microsecond, func() { _ = c.Process.Kill() })
		for c.out.Scan() {
			note(t, &done, c.out.Text())
		}
		_ = c.Wait()
		l := openLoop(t, path)
		for name := range workers {
			w := worker{l, name}
			require.NoError(t, w.check(t.Context(), [2]uint64{done[name], done[name] + 1}), "worker %d, kill %d", name, kill)
			require.NoError(t, w.settle(t.Context()), "worker %d", name)
			states, err := l.LoadInputStates(t.Context(), w.first())
			require.NoError(t, err)
			done[name] = uint64(3 * len(states))
			total += done[name]
		}
		require.NoError(t, l.Close())
	}
	t.Logf("%d kills, %d parts of steps in the end", kills, total/uint64(kills))
}

// settle ends the step that was cut off, so that the next one begins.
func (w worker) settle(ctx context.Context) error {
	states, err := w.loop.LoadInputStates(ctx, w.first())
	if err != nil || len(states) == 0 {
		return err
	}
	last := states[len(states)-1]
	if last.CurrentState == store.InputConsumed {
		return nil
	}
	if last.LastBoundarySequence == nil {
		if _, err := w.loop.CommitSessionBoundary(ctx, w.first(), store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: snapshotOf(1)}, Boundary: store.RunCheckpoint, InputUpdates: []store.InputState{last},
		}); err != nil {
			return err
		}
		if last, _, err = w.loop.LoadInputState(ctx, w.first(), last.InputID); err != nil {
			return err
		}
	}
	last.CurrentState = store.InputConsumed
	return w.loop.PersistInputState(ctx, w.first(), last)
}

// note keeps what a child has said: the highest part that a worker has done.
func note(t *testing.T, done *[workers]uint64, line string) {
	t.Helper()
	fields := strings.Fields(line)
	if len(fields) != 4 || fields[0] != "done" {
		return // cut off, or the test's own
	}
	var n [3]uint64
	for i := range n {
		var err error
		n[i], err = strconv.ParseUint(fields[i+1], 10, 64)
		require.NoError(t, err)
	}
	done[n[0]] = max(done[n[0]], 3*n[1]+n[2]+1)
}
