package state_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// change makes one random change, the same for the same random numbers.
func change(s *state.State, r *rand.Rand) {
	id := runtimeIDs[r.IntN(len(runtimeIDs))]
	snapshot := new(store.SnapshotOf(fmt.Append(nil, r.IntN(100))))
	what := r.IntN(23)
	if s.CheckDeleted(id) != nil { // as operations look first
		if what%3 == 0 {
			s.Revive(id)
		}
		return
	}
	switch what {
	case 0, 1, 2, 3:
		state := inputState(byte(r.IntN(6)), []store.InputLifecycleState{store.InputQueued, store.InputConsumed}[r.IntN(2)])
		state.UpdatedAt = store.TimeOf(time.Unix(r.Int64N(100), 0))
		if r.IntN(2) == 0 {
			state.PersistedInput = jsontext.Value(`{}`)
		}
		state.AttemptCount = r.Uint32()
		if r.IntN(2) == 0 {
			state.IdempotencyKey = new(fmt.Sprint("key ", r.IntN(3)))
		}
		s.PutInputState(id, state)
	case 4:
		s.DeleteInputState(id, store.InputID{byte(r.IntN(6))})
	case 5, 6, 7:
		sequence := uint64(r.IntN(4))
		if r.IntN(20) == 0 {
			sequence = math.MaxUint64
		}
		s.PutReceipt(id, state.NewReceipt(&store.RunBoundaryReceipt{
			RunID: store.RunID{byte(r.IntN(3))}, Boundary: store.RunStart, Sequence: sequence, MessageCount: r.Uint64(),
		}))
	case 8:
		s.PutSnapshot(id, snapshot, nil)
	case 14, 15:
		s.PutSnapshot(id, grown(s, r), s.Receipt(id, store.RunID{1}, 1))
	case 16:
		_ = s.RestoreSession(id, 1+r.Uint64N(5))
	case 17:
		if to := runtimeIDs[r.IntN(len(runtimeIDs))]; s.Version(to) == 0 && s.CheckDeleted(to) == nil {
			_ = s.Fork(id, 1+r.Uint64N(5), to)
		}
	case 18:
		s.PutSession(id, sessionIDs[r.IntN(len(sessionIDs))], grown(s, r))
	case 9:
		s.PutSession(id, sessionIDs[r.IntN(len(sessionIDs))], snapshot)
	case 10:
		s.PutRuntimeState(id, []store.RuntimeState{store.RuntimeIdle, store.RuntimeRunning}[r.IntN(2)])
	case 11:
		s.DeleteRuntime(id)
	case 12:
		s.UseSequences(id, store.RunID{byte(r.IntN(3))}, r.Uint64N(6))
	case 13:
		s.Prune(id, someRetention(r), store.TimeOf(time.Unix(100, 0)))
	case 19, 20:
		s.PutLabels(id, someLabels(r))
	case 21:
		s.DeleteInputState(id, store.InputID{byte(r.IntN(6))})
	case 22:
		s.Expire(state.Idle{Since: store.TimeOf(time.Unix(r.Int64N(100), 0)), Inputs: []store.InputLifecycleState{store.InputQueued}[r.IntN(2):]})
	}
}

func someLabels(r *rand.Rand) map[string]string {
	labels := make(map[string]string)
	for range r.IntN(4) {
		labels[fmt.Sprint("label ", r.IntN(3))] = fmt.Sprint(r.IntN(3))
	}
	return labels
}

// keepKeys are what a State may keep of keys and of runtimes that are deleted.
func keepKeys(s *state.State, r *rand.Rand) {
	keeps := []store.Keep{{}, {Last: 2}, {Last: 100}, {For: 40 * time.Second}}
	s.Retention.Keys, s.Tombstones, s.UniqueKeys = keeps[r.IntN(4)], keeps[r.IntN(4)], r.IntN(2) == 0
}

// grown returns a snapshot that shares something with one that is held, or that was
// held.
func grown(s *state.State, r *rand.Rand) *store.Snapshot {
	var standing store.Snapshot
	if held := s.Snapshot(runtimeIDs[r.IntN(len(runtimeIDs))]); held != nil {
		standing = *held
	}
	text := standing.String()
	at := r.IntN(len(text) + 1)
	text = text[:at] + strings.Repeat(fmt.Sprintln(r.Uint64()), r.IntN([]int{2, 2, 2, 1500}[r.IntN(4)])) + text[min(len(text), at+r.IntN(2000)):]
	snapshot, err := standing.Replace([]store.Format{store.FormatUnset, store.FormatOpaque, store.FormatLines}[r.IntN(3)], text+"1\n", 0)
	if err != nil { // no line, any more
		return new(store.SnapshotOf([]byte(text)))
	}
	return &snapshot
}

func someRetention(r *rand.Rand) store.Retention {
	return store.Retention{
		ReceiptsPerRun: r.IntN(3), Runs: r.IntN(3),
		Inputs:   store.Keep{Last: r.IntN(4), For: time.Duration(r.IntN(3)) * 30 * time.Second},
		Payloads: store.Keep{Last: r.IntN(4), For: time.Duration(r.IntN(3)) * 30 * time.Second},
		Sessions: store.Keep{Last: r.IntN(4), For: time.Duration(r.IntN(3)) * 30 * time.Second},
		Keys:     store.Keep{Last: r.IntN(4), For: time.Duration(r.IntN(3)) * 30 * time.Second},
	}
}

var (
	runtimeIDs = []store.RuntimeID{"a", "b", "c"}
	sessionIDs = []store.SessionID{{1}, {2}}
)

// brief tells snapshots apart.
func brief(s store.Snapshot) string {
	return fmt.Sprint(s.Format(), s.Len(), s.MessageCount(), s.Digest(), crc32.ChecksumIEEE(s.Bytes()))
}

// shown is all that a View shows.
func shown(v *state.View) string {
	state, _ := v.RuntimeState()
	snapshot, _ := v.Snapshot()
	latest, _ := v.LatestReceipt()
	var text strings.Builder
	fmt.Fprintln(&text, v.RuntimeID(), v.Version(), v.Exists(), state, brief(snapshot), latest)
	for one := range v.Inputs() {
		in := one.State
		byID, ok := v.Input(in.InputID)
		fmt.Fprintln(&text, in.InputID, in.AttemptCount, byID.State.AttemptCount, in.IdempotencyKey != nil, len(in.PersistedInput), one.Version, byID.Version, ok)
	}
	for k := range v.Keys() {
		fmt.Fprintln(&text, "kept", k)
	}
	after, revived := v.SequenceFloor()
	fmt.Fprintln(&text, after, revived, v.CountInputStates())
	for one := range v.Sessions() {
		fmt.Fprintln(&text, one.Number, one.Committed, one.RunID, one.Sequence, brief(one.Snapshot))
		if at, ok := v.SessionAt(one.Number); !ok || at != one {
			text.WriteString("not found")
		}
	}
	origin, ok := v.Origin()
	fmt.Fprintln(&text, origin, ok)
	summary := v.Summary()
	fmt.Fprintln(&text, summary.Held, summary.Ended, summary.Made, summary.Active, summary.Labels, summary.CountInputStates())
	for run, highest := range v.DroppedRuns() {
		fmt.Fprintln(&text, "dropped", run, highest)
	}
	for run := range v.Runs() {
		for receipt := range v.Receipts(run) {
			found, ok := v.Receipt(run, receipt.Sequence)
			fmt.Fprintln(&text, receipt.Sequence, receipt.MessageCount, found.MessageCount, ok)
		}
	}
	for key := range 3 {
		in, ok := v.InputStateByKey(fmt.Sprint("key ", key))
		fmt.Fprintln(&text, in.InputID, ok)
	}
	return text.String()
}

// pictured is all that an Image shows.
func pictured(image *state.Image) string {
	var text strings.Builder
	fmt.Fprintln(&text, image.Revision(), image.Totals())
	held := store.Totals{}
	for v := range image.Views() {
		text.WriteString(shown(v))
		held.Receipts += v.Summary().Held.Receipts
		held.Keys += len(slices.Collect(v.Keys()))
		held.InputStates += v.NumInputStates()
	}
	for id, filed := range image.Sessions() {
		fmt.Fprintln(&text, id, filed.By, brief(filed.Snapshot))
		held.Sessions++
	}
	for t := range image.Tombstones() {
		fmt.Fprintln(&text, stone(t))
		held.Tombstones++
	}
	for _, sum := range image.Page(state.Listing{ByActivity: true}).Items {
		fmt.Fprintln(&text, sum.RuntimeID, sum.Active)
	}
	total := image.Totals()
	if held.Receipts != total.Receipts || held.InputStates != total.InputStates || held.Sessions != total.Sessions ||
		held.Keys != total.Keys || held.Tombstones != total.Tombstones {
		text.WriteString("does not add up")
	}
	return text.String()
}

// stone is all of a tombstone.
func stone(t state.Tombstone) string {
	highest := "none"
	if t.HighestSequence != nil {
		highest = fmt.Sprint(*t.HighestSequence)
	}
	return fmt.Sprint(t.RuntimeID, t.Revision, t.Deleted, highest, t.Keys)
}

// all is all that a State holds.
func all(s *state.State) string {
	var text strings.Builder
	fmt.Fprintln(&text, "revision", s.Revision(), s.Totals())
	for _, runtime := range s.Runtimes(state.Listing{}).Items {
		fmt.Fprintln(&text, runtime.RuntimeID)
	}
	for _, id := range runtimeIDs {
		text.WriteString(shown(s.View(id)))
		for key := range 3 {
			in, version := s.InputByKey(id, fmt.Sprint("key ", key))
			fmt.Fprintln(&text, s.HasKey(id, fmt.Sprint("key ", key)), in != nil, version)
		}
		for n := range byte(6) {
			fmt.Fprint(&text, s.InputVersion(id, store.InputID{n}), " ")
		}
		fmt.Fprintln(&text, s.CheckDeleted(id))
		for run := range 3 {
			next, err := s.NextSequence(id, store.RunID{byte(run)})
			fmt.Fprintln(&text, next, err)
		}
	}
	for _, id := range sessionIDs {
		if snapshot := s.Session(id); snapshot != nil {
			fmt.Fprintln(&text, id, brief(*snapshot))
		}
	}
	for t := range s.Image().Tombstones() {
		fmt.Fprintln(&text, stone(t))
	}
	return text.String()
}

// What is taken back leaves nothing: not now, nor in what comes of later
// changes, which another State has seen alone.
func TestTryTakesBackExactly(t *testing.T) {
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 0))
		var tried, plain state.State
		keepKeys(&tried, rand.New(rand.NewPCG(seed, 1)))
		keepKeys(&plain, rand.New(rand.NewPCG(seed, 1)))
		for range 40 {
			now := store.TimeOf(time.Unix(r.Int64N(200), 0))
			tried.Now, plain.Now = now, now
			if r.IntN(3) == 0 {
				var kept *state.View
				if r.IntN(2) == 0 {
					kept = tried.View("a")
				}
				look := r.IntN(3) == 0 // seldom, since a View has effects of its own
				before := all(&plain)
				failed := errors.New("failed")
				require.Equal(t, failed, tried.Try(func() error {
					for range r.IntN(12) {
						change(&tried, r)
					}
					return failed
				}))
				if look {
					require.Equal(t, before, all(&tried), "seed %d", seed)
				}
				require.Nil(t, tried.Settle())
				if look {
					require.Equal(t, before, all(&tried), "seed %d", seed)
				}
				require.True(t, kept == nil || kept.Current(), "nothing has changed")
			}
			if r.IntN(10) == 0 {
				tried.Image()
			}
			step := r.Uint64()
			do := func(s *state.State) error {
				r := rand.New(rand.NewPCG(step, 1))
				for range 1 + r.IntN(4) {
					change(s, r)
				}
				return nil
			}
			require.NoError(t, tried.Try(func() error { return do(&tried) }))
			require.NoError(t, do(&plain))
			tried.Settle()
			plain.Settle()
		}
		require.Equal(t, all(&plain), all(&tried), "seed %d", seed)
		tried.Tombstones = store.Keep{}
		for _, id := range runtimeIDs {
			tried.Revive(id)
			tried.DeleteRuntime(id)
		}
		require.Zero(t, tried.Totals(), "seed %d", seed)
	}
}

// What fails takes back what was tried within it, too.
func TestTryWithinTry(t *testing.T) {
	var s state.State
	failed := errors.New("failed")
	assert.Equal(t, failed, s.Try(func() error {
		s.PutRuntimeState("a", store.RuntimeIdle)
		assert.NoError(t, s.Try(func() error { s.PutRuntimeState("b", store.RuntimeIdle); return nil }))
		s.PutRuntimeState("c", store.RuntimeIdle)
		return failed
	}))
	assert.Nil(t, s.Settle())
	assert.Zero(t, s.Totals())
	assert.Empty(t, s.Runtimes(state.Listing{}).Items)
}

// A View shows what it showed, whatever comes after it, and is current until
// its runtime changes.
func TestViewsDoNotChange(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		var s state.State
		keepKeys(&s, r)
		views := map[*state.View]string{}
		images := map[*state.Image]string{}
		for range 200 {
			s.Now = store.TimeOf(time.Unix(r.Int64N(200), 0))
			for range r.IntN(3) {
				change(&s, r)
			}
			before := s.Revision()
			s.Settle()
			if v := s.View(runtimeIDs[r.IntN(len(runtimeIDs))]); views[v] == "" {
				views[v] = shown(v)
				require.True(t, v.Current())
			}
			if r.IntN(8) == 0 {
				image := s.Image()
				images[image] = pictured(image)
			}
			require.LessOrEqual(t, s.Revision(), before+1)
		}
		for image, text := range images {
			require.NotContains(t, text, "does not add up")
			require.Equal(t, text, pictured(image), "seed %d", seed)
		}
		for v, text := range views {
			require.Equal(t, text, shown(v), "seed %d", seed)
			require.Equal(t, v.Exists() && v.Version() == s.Version(v.RuntimeID()), v.Exists() && v.Current())
		}
	}
}

func TestRevisions(t *testing.T) {
	var s state.State
	settled := func() uint64 {
		pending := s.Pending()
		s.Settle()
		require.Equal(t, pending, s.Revision())
		return pending
	}
	s.PutRuntimeState("a", store.RuntimeIdle)
	s.PutRuntimeState("b", store.RuntimeIdle)
	require.EqualValues(t, 1, settled(), "one for both")
	assert.EqualValues(t, 1, s.Version("a"))
	assert.EqualValues(t, 1, s.Version("b"))
	assert.EqualValues(t, 1, settled(), "nothing has changed")
	s.PutInputState("a", inputState(1, store.InputQueued))
	assert.EqualValues(t, 2, settled())
	assert.EqualValues(t, 2, s.Version("a"))
	assert.EqualValues(t, 1, s.Version("b"))
	assert.Equal(t, 1, s.DeleteRuntime("a").Runtimes)
	assert.EqualValues(t, 3, settled())
	assert.Zero(t, s.Version("a"))
	assert.Zero(t, s.DeleteRuntime("a"))
	assert.False(t, s.DeleteInputState("a", store.InputID{1}))
	assert.False(t, s.DeleteInputState("b", store.InputID{1}))
	assert.EqualValues(t, 3, settled(), "there was nothing to delete")
	s.PutRuntimeState("a", store.RuntimeIdle)
	assert.EqualValues(t, 4, settled())
	assert.EqualValues(t, 4, s.Version("a"), "never one that it had before")
	assert.Zero(t, s.View("a").NumInputStates(), "what went does not come back")
}

// One Settle ends the views of all that has changed, whole: see Settle.
func TestChanged(t *testing.T) {
	var s state.State
	absent := s.View("a")
	assert.False(t, absent.Exists())
	assert.False(t, isClosed(absent.Changed()))
	s.PutRuntimeState("a", store.RuntimeIdle)
	assert.True(t, absent.Current(), "not yet settled")
	s.Settle().Wake()
	assert.False(t, absent.Current())
	assert.True(t, isClosed(absent.Changed()))

	waited, idle := s.View("a"), s.View("a")
	require.Same(t, waited, idle, "it is one until something changes")
	c := waited.Changed()
	require.Equal(t, c, waited.Changed(), "all who wait share one channel")
	s.PutRuntimeState("b", store.RuntimeIdle)
	assert.Empty(t, s.Settle(), "of another runtime")
	assert.True(t, waited.Current())
	s.PutRuntimeState("a", store.RuntimeRunning)
	waiters := s.Settle()
	require.Len(t, waiters, 1)
	assert.False(t, isClosed(c), "the waiters are another's to wake")
	assert.False(t, waited.Current())
	waiters.Wake()
	assert.True(t, isClosed(c))

	alone := s.View("b")
	s.DeleteRuntime("b")
	assert.Empty(t, s.Settle(), "nobody waits")
	assert.True(t, isClosed(alone.Changed()), "whoever comes late does not wait")

	a, none := s.View("a"), s.View("none")
	assert.Len(t, s.End(), 0)
	assert.False(t, a.Current() || none.Current())
	assert.True(t, isClosed(a.Changed()) && isClosed(none.Changed()))
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestViewsCopy(t *testing.T) {
	var s state.State
	keyed := inputState(1, store.InputQueued)
	keyed.IdempotencyKey = new("key")
	receipt := state.NewReceipt(&store.RunBoundaryReceipt{
		RunID: store.RunID{1}, Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}},
	})
	s.PutInputState("a", keyed)
	s.PutReceipt("a", receipt)
	s.Settle()
	v := s.View("a")
	want := shown(v)
	byID, _ := v.InputState(store.InputID{1})
	byKey, _ := v.InputStateByKey("key")
	for _, in := range append(slices.Collect(v.InputStates()), byID, byKey) {
		*in.IdempotencyKey = "mine"
	}
	latest, _ := v.LatestReceipt()
	one, _ := v.Receipt(store.RunID{1}, 0)
	for _, r := range append(slices.Collect(v.Receipts(store.RunID{1})), latest, one) {
		r.ContributingInputIDs[0] = store.InputID{9}
	}
	assert.Equal(t, want, shown(v))
	assert.Equal(t, store.InputID{1}, receipt.Value().ContributingInputIDs[0])

	second := inputState(0, store.InputQueued)
	second.IdempotencyKey = new("key")
	s.PutInputState("a", second)
	s.Settle()
	first, _ := s.View("a").InputStateByKey("key")
	assert.Equal(t, store.InputID{1}, first.InputID, "the first that was stored")
}

// A session is filed by the runtime that did so last, and goes with that.
func TestSessions(t *testing.T) {
	var s state.State
	one, two := new(store.SnapshotOf([]byte("1"))), new(store.SnapshotOf([]byte("2")))
	s.PutSession("a", store.SessionID{1}, one)
	s.PutSession("a", store.SessionID{2}, one)
	s.PutSession("b", store.SessionID{1}, two)
	s.DeleteRuntime("a")
	assert.Same(t, two, s.Session(store.SessionID{1}), "it is b's")
	assert.Nil(t, s.Session(store.SessionID{2}), "it went with a")
	s.DeleteRuntime("b")
	assert.Nil(t, s.Session(store.SessionID{1}))
}
