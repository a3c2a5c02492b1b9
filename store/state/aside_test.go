package state_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
)

// viewed is all that a View shows.
func viewed(v *state.View) string {
	var b strings.Builder
	held := v.Summary()
	held.Held = store.Totals{} // what texts share depends on who else is there
	fmt.Fprintln(&b, held.RuntimeID, held.Version, held.RuntimeState, held.Ended)
	from, forked := v.Origin()
	fmt.Fprintln(&b, from, forked)
	for s := range v.Sessions() {
		fmt.Fprintln(&b, s.Number, s.Made, s.Committed, s.RunID, s.Sequence, s.Snapshot.Format(), s.Snapshot.Digest(), sha256.Sum256(s.Snapshot.Bytes()))
	}
	for input := range v.InputStates() {
		text, err := input.MarshalJSON()
		fmt.Fprintln(&b, string(text), err)
	}
	for id := range v.Runs() {
		highest, _ := v.HighestSequence(id)
		fmt.Fprintln(&b, id, highest)
		for r := range v.Receipts(id) {
			text, err := r.MarshalJSON()
			fmt.Fprintln(&b, string(text), err)
		}
	}
	for id, highest := range v.DroppedRuns() {
		fmt.Fprintln(&b, id, highest)
	}
	latest, ok := v.LatestReceipt()
	text, err := latest.MarshalJSON()
	fmt.Fprintln(&b, string(text), err, ok)
	return b.String()
}

// runtimesOf shows each runtime of a State.
func runtimesOf(t testing.TB, s *state.State) map[store.RuntimeID]string {
	all := make(map[store.RuntimeID]string)
	for more, paging := true, (state.Paging{}); more; {
		page := s.Runtimes(paging)
		for _, sum := range page.Items {
			all[sum.RuntimeID] = viewed(s.View(sum.RuntimeID))
		}
		paging.From, more = page.Next, page.More
	}
	require.Len(t, all, s.Totals().Runtimes)
	return all
}

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
	all := slices.Collect(fixture.New(t).Records())
	want := runtimesOf(t, fixture.New(t))
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
			got := runtimesOf(t, s)
			for id, what := range want {
				if aside := s.CheckRuntime(id); aside == nil {
					require.Equal(t, what, got[id], "%s at %d", how, at)
				} else {
					require.NotContains(t, got, id)
					refusesAll(t, s, id)
				}
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
				got = runtimesOf(t, s)
			}
			if _, there := k[string(all[at].Key)]; there || how == "lost" {
				k.apply(all[at : at+1]) // as if it had never been harmed
				again, err := k.replay()
				require.NoError(t, err, "%s at %d: %x", how, at, all[at].Key)
				for _, a := range s.Asides() {
					require.Equal(t, want[a.RuntimeID], viewed(again.View(a.RuntimeID)))
				}
			}
		}
	}
	t.Logf("%d times something was set aside, %d times the journal was refused", set, refused)
	require.Greater(t, set, 4*refused)
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
	all := slices.Collect(fixture.New(t).Records())
	want := runtimesOf(t, fixture.New(t))
	sessions := fixture.New(t).Totals().Sessions
	for at := range all {
		for how, harmed := range harms(all, at) {
			s, left, err := leniently(harmed, (*state.Replay).Salvage)
			require.NoError(t, err)
			got := runtimesOf(t, s)
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
