package state_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
)

// leniently replays records.
func leniently(all []journal.Change, how func(*state.Replay)) (*state.State, state.Salvaged, error) {
	s := new(state.State)
	r := state.NewReplay(s)
	defer r.Close()
	how(r)
	for _, c := range all {
		if err := r.Put(c); err != nil {
			return nil, state.Salvaged{}, err
		}
	}
	err := r.Done()
	return s, r.Salvaged(), err
}

// harms alters the record at a place, or takes it away.
func harms(all []journal.Change, at int) map[string][]journal.Change {
	flipped := slices.Clone(all)
	flipped[at].Value = bytes.Clone(flipped[at].Value)
	flipped[at].Value[len(flipped[at].Value)/2] ^= 4
	return map[string][]journal.Change{
		"flipped": flipped,
		"lost":    slices.Delete(slices.Clone(all), at, at+1),
		"cut":     slices.Concat(all[:at], []journal.Change{{Key: all[at].Key, Value: all[at].Value[:2]}}, all[at+1:]),
	}
}

// Whatever becomes of one record, a runtime is what it was, or is set aside: then no
// operation answers for it, all others go on, and the journal keeps what there is of it.
func TestSetAside(t *testing.T) {
	all := slices.Collect(fixture.First.State(t).Records())
	want := fixture.Runtimes(t, fixture.First.State(t))
	filed := make(map[store.SessionID]store.RuntimeID)
	for id, f := range fixture.First.State(t).Image().Sessions() {
		filed[id] = f.By
	}
	set, refused := 0, 0
	for at := range all {
		for how, harmed := range harms(all, at) {
			s, _, err := leniently(harmed, (*state.Replay).SetAside)
			if err != nil {
				require.ErrorIs(t, err, journal.ErrCorrupt)
				refused++
				continue
			}
			set++
			require.NotEmpty(t, s.Asides(), "%s at %d", how, at)
			got := fixture.Runtimes(t, s)
			for id, what := range want {
				if aside := s.CheckRuntime(id); aside == nil {
					require.Equal(t, what, got[id], "%s at %d", how, at)
				} else {
					require.NotContains(t, got, id)
					refusesAll(t, s, id)
				}
			}
			for id, by := range filed {
				found, err := ops.Run(s, ops.LoadSession{SessionID: id})
				if aside := s.CheckRuntime(by); aside == nil {
					require.NoError(t, err)
					require.True(t, found.OK, "%s at %d", how, at)
					continue
				}
				require.ErrorIs(t, err, journal.ErrCorrupt, "%s at %d", how, at)
				_, err = ops.Run(s, ops.AtomicApply{RuntimeID: "other", Commit: store.BoundaryApply{
					SessionStoreKey: &id, Receipt: store.RunBoundaryReceipt{Boundary: store.Immediate},
				}})
				require.ErrorIs(t, err, journal.ErrCorrupt, "%s at %d", how, at)
			}
			if at%7 > 0 {
				continue
			}
			k := kept{}
			k.apply(harmed)
			for n := range 2 { // the others go on
				s.Begin()
				for id := range got {
					_, err := ops.Run(s, ops.PersistRuntimeState{RuntimeID: id, State: store.RuntimeIdle})
					require.NoError(t, err)
					_, err = ops.Run(s, ops.Commit{Batch: batch.Batch{Then: []batch.Write{batch.PutSnapshot{RuntimeID: id, Snapshot: fmt.Append(nil, n)}}}})
					require.NoError(t, err)
				}
				_, err := ops.Run(s, ops.DeleteRuntime{RuntimeID: slices.Sorted(keys(got))[n]})
				require.NoError(t, err)
				k.apply(s.Changes())
				s.Commit()
				asides := s.Asides()
				s, _, err = leniently(k.records(), (*state.Replay).SetAside)
				require.NoError(t, err, "%s at %d", how, at)
				require.Equal(t, asides, s.Asides())
				got = fixture.Runtimes(t, s)
			}
			if _, there := k[string(all[at].Key)]; there || how == "lost" {
				k.apply(all[at : at+1]) // as if it had never been harmed
				again, err := k.replay()
				require.NoError(t, err, "%s at %d: %x", how, at, all[at].Key)
				for _, a := range s.Asides() {
					require.Equal(t, want[a.RuntimeID], fixture.Shown(again.View(a.RuntimeID)))
				}
			}
		}
	}
	t.Logf("%d times something was set aside, %d times the journal was refused", set, refused)
	require.Greater(t, set, 4*refused)
}

// What a runtime that was set aside shares with another stays, whatever becomes of the
// other.
func TestSetAsideKeepsItsTexts(t *testing.T) {
	s := new(state.State)
	s.Begin()
	text := bytes.Repeat([]byte("0123456789abcdef"), 10<<10)
	put := func(id store.RuntimeID, text []byte) {
		_, err := ops.Run(s, ops.Commit{Batch: batch.Batch{Then: []batch.Write{batch.PutSnapshot{RuntimeID: id, Snapshot: text}}}})
		require.NoError(t, err)
	}
	put("a", text)
	_, err := ops.Run(s, ops.Fork{RuntimeID: "a", Number: 1, To: "b"})
	require.NoError(t, err)
	_, err = ops.Run(s, ops.PersistInputState{RuntimeID: "b", State: store.NewInputState(store.InputID{1}, store.Time{})})
	require.NoError(t, err)
	k := kept{}
	k.apply(s.Changes())
	s.Commit()
	want := fixture.Shown(s.View("b"))

	var key, whole string // of b's input
	for at, value := range k {
		if len(at) == 18 && at[9] == 4 {
			key, whole = at, value
		}
	}
	k[key] = whole[:3]
	s, _, err = leniently(k.records(), (*state.Replay).SetAside)
	require.NoError(t, err)
	require.Len(t, s.Asides(), 1)
	for n := range 3 {
		for i := range 2 {
			s.Begin()
			put("a", fmt.Append(nil, "another text ", n, i))
			k.apply(s.Changes())
			s.Commit()
		}
		s, _, err = leniently(k.records(), (*state.Replay).SetAside)
		require.NoError(t, err)
	}
	k[key] = whole
	again, err := k.replay()
	require.NoError(t, err)
	require.Equal(t, want, fixture.Shown(again.View("b")))
}

// If the last of several sessions that a runtime filed is damaged, the others are set
// aside with it.
func TestSetAsideWithAllItsSessions(t *testing.T) {
	s := new(state.State)
	for n := range byte(2) {
		_, err := ops.Run(s, ops.AtomicApply{RuntimeID: "a", Commit: store.BoundaryApply{
			Session: &store.SessionDelta{SessionSnapshot: []byte{'0' + n}}, SessionStoreKey: &store.SessionID{n},
			Receipt: store.RunBoundaryReceipt{Boundary: store.Immediate, Sequence: uint64(n)},
		}})
		require.NoError(t, err)
	}
	_, err := ops.Run(s, ops.Commit{Batch: batch.Batch{Then: []batch.Write{batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte("2")}}}})
	require.NoError(t, err)
	all := slices.Collect(s.Records())
	all[len(all)-1].Value = all[len(all)-1].Value[:3]
	_, _, err = leniently(all, (*state.Replay).SetAside)
	require.ErrorIs(t, err, journal.ErrCorrupt, "nobody knows which session it is")
	all = slices.Collect(s.Records())
	all[2].Value = all[2].Value[:3] // the part of the second text
	s, _, err = leniently(all, (*state.Replay).SetAside)
	require.NoError(t, err)
	for n := range byte(2) {
		_, err := ops.Run(s, ops.LoadSession{SessionID: store.SessionID{n}})
		require.ErrorIs(t, err, journal.ErrCorrupt)
	}
}

// A journal that lacks a runtime altogether is not opened: nobody could say which calls
// to refuse.
func TestSetAsideWantsNames(t *testing.T) {
	s := new(state.State)
	for _, id := range []store.RuntimeID{"a", "b", "c"} {
		_, err := ops.Run(s, ops.PersistInputState{RuntimeID: id, State: store.NewInputState(store.InputID{1}, store.Time{})})
		require.NoError(t, err)
	}
	all := slices.Collect(s.Records()) // the first, and two of each
	all[2].Value = all[2].Value[:3]
	_, left, err := leniently(all, (*state.Replay).SetAside)
	require.NoError(t, err)
	require.Len(t, left.Asides, 1)
	_, _, err = leniently(all[:5], (*state.Replay).SetAside)
	require.ErrorIs(t, err, journal.ErrCorrupt)
	salvaged, left, err := leniently(all[:5], (*state.Replay).Salvage)
	require.NoError(t, err)
	require.Equal(t, 1, left.Nameless)
	require.Equal(t, 1, salvaged.Totals().Runtimes)
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (k kept) records() (all []journal.Change) {
	for _, key := range slices.Sorted(keys(k)) {
		all = append(all, journal.Change{Key: []byte(key), Value: []byte(k[key])})
	}
	return all
}

// refusesAll tries operations on a runtime that was set aside.
func refusesAll(t *testing.T, s *state.State, id store.RuntimeID) {
	t.Helper()
	refused := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, journal.ErrCorrupt)
		aside := new(state.AsideError)
		require.ErrorAs(t, err, &aside)
		require.NotEmpty(t, aside.Reason)
	}
	load := func(_ any, err error) { t.Helper(); refused(err) }
	revision := s.Revision()
	load(ops.Run(s, ops.LoadView{RuntimeID: id}))
	load(ops.Run(s, ops.LoadRuntimeState{RuntimeID: id}))
	load(ops.Run(s, ops.LoadSessionSnapshot{RuntimeID: id}))
	load(ops.Run(s, ops.LoadInputStates{RuntimeID: id}))
	load(ops.Run(s, ops.PersistRuntimeState{RuntimeID: id, State: store.RuntimeIdle}))
	load(ops.Run(s, ops.DeleteRuntime{RuntimeID: id}))
	load(ops.Run(s, ops.Prune{RuntimeID: id}))
	load(ops.Run(s, ops.Fork{RuntimeID: "idle", To: id}))
	load(ops.Run(s, ops.Fork{RuntimeID: id, To: "fork"}))
	load(ops.Run(s, ops.LoadImage{}))
	for _, c := range []batch.Condition{
		batch.VersionIs{RuntimeID: id}, batch.RuntimeExists{RuntimeID: id}, batch.RuntimeAbsent{RuntimeID: id},
		batch.RuntimeStateIs{RuntimeID: id, AnyOf: []store.RuntimeState{store.RuntimeIdle}},
		batch.InputStateIs{RuntimeID: id, AnyOf: []store.InputLifecycleState{store.InputQueued}},
		batch.InputAbsent{RuntimeID: id}, batch.SessionDigestIs{RuntimeID: id}, batch.ReceiptAbsent{RuntimeID: id}, batch.KeyFree{RuntimeID: id},
	} {
		load(ops.Run(s, ops.Commit{Batch: batch.Batch{If: []batch.Condition{c}}}))
	}
	for _, w := range []batch.Write{
		batch.PutRuntimeState{RuntimeID: id, State: store.RuntimeIdle}, batch.DeleteRuntime{RuntimeID: id}, batch.RestoreSession{RuntimeID: id, Number: 1},
	} {
		load(ops.Run(s, ops.Commit{Batch: batch.Batch{Then: []batch.Write{w}}}))
	}
	require.Equal(t, revision, s.Revision())
}

// What is salvaged is whole, and what is not is named, or counted.
func TestSalvage(t *testing.T) {
	all := slices.Collect(fixture.First.State(t).Records())
	want := fixture.Runtimes(t, fixture.First.State(t))
	sessions := fixture.First.State(t).Totals().Sessions
	for at := range all {
		for how, harmed := range harms(all, at) {
			s, left, err := leniently(harmed, (*state.Replay).Salvage)
			require.NoError(t, err)
			got := fixture.Runtimes(t, s)
			for id, what := range got {
				require.Equal(t, want[id], what, "%s at %d", how, at)
			}
			for _, a := range left.Asides {
				require.NotContains(t, got, a.RuntimeID)
				require.NotEmpty(t, a.Reason)
			}
			require.LessOrEqual(t, len(got)+len(left.Asides)+left.Nameless, len(want))
			if at > 0 {
				require.Equal(t, len(want), len(got)+len(left.Asides)+left.Nameless, "%s at %d: %x", how, at, all[at].Key)
				require.LessOrEqual(t, len(left.Asides)+left.Nameless, 9, "what is damaged, and those that share its text")
			}
			require.LessOrEqual(t, s.Totals().Sessions, sessions)
			require.Equal(t, at == 0, left.Revision)
		}
	}
}
