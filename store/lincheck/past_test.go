package lincheck_test

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/lincheck"
)

const (
	keptVersions = 4
	keepsAll     = 100_000
)

func keepingLoop() *loopstore.Loop {
	return loopstore.New(loopstore.Options{Retention: retaining(keptVersions)})
}

// refutePast expects Check to refute stores that keep versions, and then CheckProgram to
// do so within few programs. It returns both failures.
func refutePast(t *testing.T, versions int, open func() store.RuntimeStore) (concurrent, sequential string) {
	l := &listener{T: t}
	cfg := lincheck.Config{Histories: 5, Spanning: 1000, Dir: t.ArtifactDir(), Versions: versions}
	lincheck.Check(l, open, cfg)
	require.Len(t, l.failures, 1)
	t.Log(l.failures[0])
	assert.Contains(t, l.failures[0], "not linearizable")

	require.NoError(t, flag.Set("rapid.shrinktime", "1s"))
	t.Cleanup(func() { assert.NoError(t, flag.Set("rapid.shrinktime", "30s")) })
	programs, found := 0, false
	r := falsify(t, func(t *rapid.T) {
		if !found {
			programs++
		}
		defer func() {
			if v := recover(); v != nil {
				found = true
				panic(v)
			}
		}()
		lincheck.CheckProgram(t, open, cfg)
	})
	t.Logf("after %d programs:\n%s", programs, strings.Join(r.lines, "\n"))
	assert.Less(t, programs, 200)
	return l.failures[0], strings.Join(r.lines, "\n")
}

// A hasty store appends to what stood when it looked.
type hasty struct{ *loopstore.Loop }

func (s hasty) CommitSessionBoundary(ctx context.Context, id store.RuntimeID, commit store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	if d := &commit.Session; d.Append && d.Format.Grows() && (d.Messages == 0 || d.Format == store.FormatOpaque) && ctx.Err() == nil {
		v, err := s.View(ctx, id)
		if err != nil {
			return store.RunBoundaryReceipt{}, err
		}
		if stands, ok := v.Snapshot(); ok && stands.Format() == d.Format {
			runtime.Gosched()
			d.SessionSnapshot, d.Append = append(stands.Bytes(), d.SessionSnapshot...), false
		}
	}
	return s.Loop.CommitSessionBoundary(ctx, id, commit)
}

func TestLostAppendIsCaught(t *testing.T) {
	refute(t, func(l *loopstore.Loop) store.RuntimeStore { return hasty{l} }) // which call shows it first is not the canary's to say
}

// A changing store appends in place: earlier versions share the part that grows.
type changing struct{ *loopstore.Loop }

func (s changing) LoadSessionAt(ctx context.Context, id store.RuntimeID, number uint64) (store.Snapshot, bool, error) {
	v, err := s.View(ctx, id)
	if err != nil {
		return store.Snapshot{}, false, err
	}
	at, ok := v.SessionAt(number)
	if next, grown := v.SessionAt(number + 1); grown && ok && at.Snapshot.Format().Grows() &&
		next.Snapshot.Format() == at.Snapshot.Format() && strings.HasPrefix(next.Snapshot.String(), at.Snapshot.String()) {
		at = next
	}
	return at.Snapshot, ok, nil
}

func TestVersionThatChangesIsCaught(t *testing.T) {
	_, said := refutePast(t, keptVersions, func() store.RuntimeStore { return changing{keepingLoop()} })
	assert.Contains(t, said, "load_session_at(")
}

// A following store shows in a fork what becomes of the runtime that it was made from,
// until something is written to the fork itself.
type following struct {
	*loopstore.Loop
	mu sync.Mutex
	of map[store.RuntimeID]forkOf
}

type forkOf struct {
	from    store.RuntimeID
	version uint64 // of the fork
}

func (s *following) Fork(ctx context.Context, from store.RuntimeID, number uint64, to store.RuntimeID) error {
	v, err := s.View(ctx, from)
	if err == nil {
		err = s.Loop.Fork(ctx, from, number, to)
	}
	if err != nil {
		return err
	}
	made, err := s.View(context.WithoutCancel(ctx), to)
	if _, last := v.SessionAt(number + 1); !last && err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.of[to] = forkOf{from, made.Version()}
	}
	return nil
}

func (s *following) LoadSessionSnapshot(ctx context.Context, id store.RuntimeID) ([]byte, bool, error) {
	v, err := s.View(ctx, id)
	if err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	of := s.of[id]
	s.mu.Unlock()
	if of.version == v.Version() && v.Exists() {
		id = of.from
	}
	return s.Loop.LoadSessionSnapshot(ctx, id)
}

func TestForkThatFollowsIsCaught(t *testing.T) {
	_, said := refutePast(t, keptVersions, func() store.RuntimeStore {
		return &following{Loop: keepingLoop(), of: make(map[store.RuntimeID]forkOf)}
	})
	assert.Regexp(t, `fork\(runtime-\d, version \d to runtime-\d\) → –`, said)
}

// A reusing store gives the number of a version that has gone to another one.
type reusing struct{ *loopstore.Loop }

func (s reusing) LoadSessionAt(ctx context.Context, id store.RuntimeID, number uint64) (store.Snapshot, bool, error) {
	v, err := s.View(ctx, id)
	if err != nil {
		return store.Snapshot{}, false, err
	}
	for one := range v.Sessions() {
		if number > 0 && number <= one.Number && number%keptVersions == one.Number%keptVersions {
			return one.Snapshot, true, nil
		}
	}
	return store.Snapshot{}, false, nil
}

func TestNumberThatIsReusedIsCaught(t *testing.T) {
	_, said := refutePast(t, keptVersions, func() store.RuntimeStore { return reusing{keepingLoop()} })
	assert.Contains(t, said, "load_session_at(")
}

// A rewinding store forgets the versions after one that is restored, and gives their
// numbers again. It has no views, which would show the true ones.
type rewinding struct {
	store.RuntimeStore // a Forward
	loop               *loopstore.Loop
	mu                 sync.Mutex
	past               map[store.RuntimeID][]uint64 // the true numbers of its versions
}

func newRewinding() *rewinding {
	s := &rewinding{loop: loopstore.New(loopstore.Options{Retention: retaining(keepsAll)}), past: make(map[store.RuntimeID][]uint64)}
	s.RuntimeStore = ops.Forward(func(ctx context.Context, call ops.Call) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		err := call.On(ctx, s.loop)
		if id, _ := call.Runtime(); err == nil && !call.Kind().ReadOnly() {
			s.catchUp(ctx, id)
		}
		return err
	})
	return s
}

// catchUp numbers the versions that a call has made.
func (s *rewinding) catchUp(ctx context.Context, id store.RuntimeID) {
	v, err := s.loop.View(context.WithoutCancel(ctx), id)
	if err != nil {
		panic(err)
	}
	for one := range v.Sessions() {
		if past := s.past[id]; len(past) == 0 || past[len(past)-1] < one.Number {
			s.past[id] = append(past, one.Number)
		}
	}
}

// number returns the true number of a version, which may be one that the call is to make.
func (s *rewinding) number(id store.RuntimeID, number uint64) uint64 {
	past := s.past[id]
	n := uint64(len(past))
	switch {
	case number == 0 || n == 0:
		return number
	case number > n:
		return past[n-1] + number - n
	}
	return past[number-1]
}

func (s *rewinding) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	writes := slices.Clone(b.Then)
	for i, w := range writes {
		if w, ok := w.(batch.RestoreSession); ok {
			writes[i] = batch.RestoreSession{RuntimeID: w.RuntimeID, Number: s.number(w.RuntimeID, w.Number)}
		}
	}
	result, err := s.loop.Commit(ctx, batch.Batch{If: b.If, Then: writes})
	if err != nil {
		return result, err
	}
	for n := range 5 {
		id := store.RuntimeID(fmt.Sprintf("runtime-%d", n))
		if slices.Contains(b.Then, batch.Write(batch.DeleteRuntime{RuntimeID: id})) {
			delete(s.past, id)
		}
		s.catchUp(ctx, id)
	}
	if len(b.Then) == 0 {
		return result, nil
	}
	if w, ok := b.Then[len(b.Then)-1].(batch.RestoreSession); ok {
		past := s.past[w.RuntimeID]
		s.past[w.RuntimeID] = append(past[:w.Number-1], past[len(past)-1])
	}
	return result, nil
}

func (s *rewinding) LoadSessionAt(ctx context.Context, id store.RuntimeID, number uint64) (store.Snapshot, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number > uint64(len(s.past[id])) {
		return store.Snapshot{}, false, ctx.Err()
	}
	return s.loop.LoadSessionAt(ctx, id, s.number(id, number))
}

func (s *rewinding) Fork(ctx context.Context, from store.RuntimeID, number uint64, to store.RuntimeID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number > uint64(len(s.past[from])) {
		number = keepsAll
	}
	err := s.loop.Fork(ctx, from, s.number(from, number), to)
	if err == nil {
		s.catchUp(ctx, to)
	}
	return err
}

func (s *rewinding) Close() error { return s.loop.Close() }

func TestNumberThatIsGivenAgainIsCaught(t *testing.T) {
	_, said := refutePast(t, keepsAll, func() store.RuntimeStore { return newRewinding() })
	assert.Contains(t, said, "RestoreSession, version")
}
