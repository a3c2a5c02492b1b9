package state_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// kept is what a journal has, by key.
type kept map[string]string

func (k kept) apply(changes []journal.Change) {
	for _, c := range changes {
		if c.Delete {
			delete(k, string(c.Key))
		} else {
			k[string(c.Key)] = string(c.Value)
		}
	}
}

// replay returns a State of what is kept.
func (k kept) replay() (*state.State, error) {
	s := new(state.State)
	r := state.NewReplay(s)
	for _, key := range slices.Sorted(maps.Keys(k)) {
		if err := r.Put(journal.Change{Key: []byte(key), Value: []byte(k[key])}); err != nil {
			return nil, err
		}
	}
	return s, r.Done()
}

func keptOf(s *state.State) kept {
	k := kept{}
	k.apply(slices.Collect(s.Records()))
	return k
}

// operate does one operation of some changes, which may fail, in a group.
func operate(s *state.State, step uint64) {
	r := rand.New(rand.NewPCG(step, 0))
	s.Now = store.TimeOf(time.Unix(100+r.Int64N(60), 0))
	_ = s.Try(func() error {
		return s.Do(func() error {
			for range 1 + r.IntN(4) {
				change(s, r)
			}
			if r.IntN(5) == 0 {
				return errors.New("failed")
			}
			return nil
		})
	})
	s.Settle()
}

// What a journal is told is all that is held, whatever comes in groups that are
// kept and others that are taken back; and a State that has seen the kept ones
// alone holds the same.
func TestGroups(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 3))
		var keep store.Retention
		if seed%3 == 0 {
			keep = someRetention(r)
		}
		grouped, plain := state.State{Retention: keep}, state.State{Retention: keep}
		if seed%2 == 0 {
			keepKeys(&grouped, rand.New(rand.NewPCG(seed, 1)))
			keepKeys(&plain, rand.New(rand.NewPCG(seed, 1)))
		}
		k := kept{}
		for range 40 {
			var view *state.View
			if r.IntN(2) == 0 {
				view = grouped.View("a")
			}
			if r.IntN(10) == 0 {
				grouped.Image()
			}
			before := grouped.Revision()
			var steps []uint64
			grouped.Begin()
			for range r.IntN(4) {
				steps = append(steps, r.Uint64())
				operate(&grouped, steps[len(steps)-1])
			}
			require.True(t, view == nil || view.Current(), "nothing is known of it yet")
			if r.IntN(3) == 0 {
				grouped.Rollback()
				require.Equal(t, before, grouped.Revision())
				require.True(t, view == nil || !view.Exists() || view == grouped.View("a") && view.Current())
			} else {
				k.apply(grouped.Changes())
				grouped.Commit()
				for _, step := range steps {
					operate(&plain, step)
				}
				require.True(t, view == nil || view.Current() == (view.Version() == grouped.Version("a")) || !view.Exists())
			}
			if r.IntN(4) == 0 { // seldom, since to look has effects of its own
				require.Equal(t, all(&plain), all(&grouped), "seed %d", seed)
			}
			if len(k) > 0 {
				require.Equal(t, keptOf(&grouped), k, "seed %d", seed)
			}
		}
		again, err := k.replay()
		require.NoError(t, err)
		require.Equal(t, all(&grouped), all(again), "seed %d", seed)
		require.Equal(t, k, keptOf(again), "seed %d", seed)

		again.Retention, again.UniqueKeys, again.Tombstones = grouped.Retention, grouped.UniqueKeys, grouped.Tombstones // and it goes on alike
		for range 10 {
			step := r.Uint64()
			operate(again, step)
			operate(&grouped, step)
		}
		require.Equal(t, all(&grouped), all(again), "seed %d", seed)
	}
}

func TestGroupWithoutChangesTellsNothing(t *testing.T) {
	var s state.State
	s.Begin()
	assert.Empty(t, s.Changes())
	require.Error(t, s.Do(func() error {
		s.PutRuntimeState("a", store.RuntimeIdle)
		return errors.New("failed")
	}))
	s.Settle()
	assert.Empty(t, s.Changes())
	assert.False(t, s.Changing("b"))
	s.Commit()
}

// Of a snapshot that grows, shrinks or changes the journal gets the parts that are new.
func TestGrownSnapshotIsWrittenInItsNewParts(t *testing.T) {
	const part = session.MaxBytes + 2<<10
	var s state.State
	k := kept{}
	put := func(text []byte) (bytes int) {
		s.Begin()
		var standing store.Snapshot
		if s.Snapshot("a") != nil {
			standing = *s.Snapshot("a")
		}
		snapshot, err := standing.Replace(store.FormatUnset, string(text), 0)
		require.NoError(t, err)
		s.PutSnapshot("a", &snapshot, nil)
		s.Settle()
		changes := s.Changes()
		k.apply(changes)
		s.Commit()
		again, err := k.replay()
		require.NoError(t, err)
		require.Equal(t, string(text), again.Snapshot("a").String())
		return int(journal.Batch{Changes: changes}.Bytes())
	}
	text := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(text)
	assert.Greater(t, put(text), 1<<20)
	assert.Zero(t, put(text)/1024)
	assert.Less(t, put(append(text, "more"...)), part)
	assert.Less(t, put(append(text[:len(text)-10:len(text)-10], "otherwise"...)), part)
	assert.Less(t, put(append([]byte("in front"), text...)), 4*part, "what is next to the first may be cut otherwise")
	assert.Less(t, put(append([]byte("In front"), text[:len(text)/2]...)), 4*part)
	assert.Less(t, put(nil), 5<<10)
}

func TestAdoptedIsToldWhole(t *testing.T) {
	other := new(state.State)
	for step := range uint64(30) {
		operate(other, step)
	}
	want, records := all(other), keptOf(other)
	var s state.State
	for range 2 {
		s.Begin()
		require.NoError(t, s.Do(func() error { return s.Adopt(other) }))
		s.Settle()
		assert.True(t, s.Changing("b"))
		k := kept{}
		k.apply(s.Changes())
		assert.Equal(t, records, k)
		s.Rollback() // what was taken is given back
		assert.Zero(t, s.Totals())
		assert.Equal(t, all(new(state.State)), all(&s))
	}
	assert.Equal(t, want, all(other))
}

// No part that comes after what was adopted has the name of another.
func TestWhatWasAdoptedGoesOn(t *testing.T) {
	other := &state.State{}
	text := strings.Repeat("0123456789\n", 1000)
	other.PutSnapshot("a", new(store.SnapshotOf([]byte(text))), nil)
	other.Settle()
	s, k := new(state.State), kept{}
	for _, step := range []func(){
		func() { require.NoError(t, s.Adopt(other)) },
		func() {
			longer, err := s.Snapshot("a").Replace(store.FormatUnset, text+text, 0)
			require.NoError(t, err)
			s.PutSnapshot("a", &longer, nil)
		},
		func() { s.PutSnapshot("b", new(store.SnapshotOf([]byte(text))), nil) },
		func() { s.DeleteRuntime("a") },
	} {
		s.Begin()
		step()
		s.Settle()
		k.apply(s.Changes())
		s.Commit()
		require.Equal(t, keptOf(s), k)
		_, err := k.replay()
		require.NoError(t, err)
	}
}

// Whatever is lost, doubled, altered or put elsewhere is found.
func TestReplayRefusesWhatIsNotAsItWasWritten(t *testing.T) {
	var s state.State
	for step := range uint64(60) {
		operate(&s, step)
	}
	s.PutSession("a", sessionIDs[0], new(store.SnapshotOf(make([]byte, 40<<10))))
	s.PutSnapshot("a", new(store.SnapshotOf(make([]byte, 40<<10))), nil)
	s.Settle()
	whole := keptOf(&s)
	_, err := whole.replay()
	require.NoError(t, err)
	require.Greater(t, len(whole), 20)
	for key, value := range whole {
		damage := func(name string, to kept) {
			_, err := to.replay()
			assert.ErrorIs(t, err, journal.ErrCorrupt, "%s %x", name, key)
		}
		lost := maps.Clone(whole)
		delete(lost, key)
		if len(lost) > 0 {
			damage("lost", lost)
		}
		for at := range value {
			altered := maps.Clone(whole)
			b := []byte(value)
			b[at] ^= 1 << (at % 8)
			altered[key] = string(b)
			if at > 100 && at < len(value)-100 {
				continue
			}
			damage("altered", altered)
		}
		moved := maps.Clone(whole)
		delete(moved, key)
		moved[key+"\x00"] = value
		damage("moved", moved)
	}
}
