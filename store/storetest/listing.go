package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func listing() []promise {
	return []promise{
		{words: "runtimes are listed in the order in which they were made", try: listedInOrder},
		{words: "a listing has what it asks for, and nothing else", try: needs[batch.Committer](listedIsAskedFor)},
		{words: "a summary says what the runtime holds", try: needs[batch.Committer](summariesSayWhatThereIs)},
		{words: "what stands throughout is listed once, whatever others write", try: needs[batch.Committer](standingIsListedOnce)},
		{words: "what stands throughout is listed once while others write", try: needs[batch.Committer](standingIsListedMeanwhile)},
		{words: "by activity the runtime that was written to last comes first", try: needs[batch.Committer](activeComesFirst)},
		{words: "every write is activity, and nothing else is", try: needs[batch.Committer](writesAreActivity)},
		{words: "PutLabels replaces all labels", try: needs[batch.Committer](labelsAreReplaced)},
		{words: "labels that are too many or too long are refused", try: needs[batch.Committer](badLabelsAreRefused)},
		{words: "labels are copied", try: needs[batch.Committer](labelsAreCopied)},
		{words: "a listing is the same when the store is reopened", try: needs[batch.Committer](needsReopen(listingsAreThereAgain))},
		{words: "an import has the labels and the times", try: needs[batch.Committer](needs[archiver](importsHaveListings))},
		{words: "a listing is refused if it is not valid, its context has ended or the store is closed", try: badListingsAreRefused},
	}
}

// list returns what a listing has.
func (tr *trial) list(ctx context.Context, l state.Listing) (all []state.RuntimeSummary, err error) {
	for summary, failed := range tr.store.(lister).Runtimes(ctx, l) {
		switch {
		case err != nil:
			return all, fmt.Errorf("a listing went on after its error, %w", err)
		case failed != nil:
			err = failed
		default:
			all = append(all, summary)
		}
	}
	return all, err
}

// listed returns the ids that a listing has.
func (tr *trial) listed(l state.Listing) (ids []store.RuntimeID) {
	tr.Helper()
	all, err := tr.list(tr.Context(), l)
	require.NoError(tr, err, "Runtimes")
	for _, summary := range all {
		ids = append(ids, summary.RuntimeID)
	}
	return ids
}

// summary returns what a listing says of a runtime, which must be there.
func (tr *trial) summary(id store.RuntimeID) state.RuntimeSummary {
	tr.Helper()
	all, err := tr.list(tr.Context(), state.Listing{Prefix: string(id)})
	require.NoError(tr, err, "Runtimes")
	at := slices.IndexFunc(all, func(s state.RuntimeSummary) bool { return s.RuntimeID == id })
	require.GreaterOrEqual(tr, at, 0, "runtime %q is not listed", id)
	return all[at]
}

var limits = []int{0, 1, 2, 3, 7, state.MaxPage + 1, -1}

func listedInOrder(tr *trial) {
	assert.Empty(tr, tr.listed(state.Listing{}), "an empty store")
	var want []store.RuntimeID
	for i, id := range runtimeIDs() {
		require.NoError(tr, writes()[i%len(writes())].do(tr.Context(), tr.store, id, 1))
		want = append(want, id)
	}
	for _, id := range slices.Backward(want) { // to write again moves nothing
		tr.setRuntime(id, store.RuntimeIdle)
	}
	for _, limit := range limits {
		assert.Equal(tr, want, tr.listed(state.Listing{Paging: state.Paging{Limit: limit}}), "pages of %d", limit)
	}
	seen := 0
	for _, err := range tr.store.(lister).Runtimes(tr.Context(), state.Listing{Paging: state.Paging{Limit: 2}}) {
		require.NoError(tr, err)
		if seen++; seen == 3 {
			break
		}
	}
	assert.Equal(tr, 3, seen, "a listing that its caller ends")
	sequence := tr.store.(lister).Runtimes(tr.Context(), state.Listing{Paging: state.Paging{Limit: 2}})
	for range 2 {
		n := 0
		for _, err := range sequence {
			require.NoError(tr, err)
			n++
		}
		assert.Equal(tr, len(want), n, "a listing that is used again")
	}
	if has[batch.Committer](tr) {
		tr.write(deleting(want[0]), deleting(want[3]), setting(want[0], store.RuntimeIdle))
		want = append(slices.Concat(want[1:3], want[4:]), want[0])
		assert.Equal(tr, want, tr.listed(state.Listing{}), "one that is made again is a new one")
	}
}

// A described runtime is what a listing may ask for.
type described struct {
	id     store.RuntimeID
	labels map[string]string
	state  store.RuntimeState // "" for none
	inputs []store.InputLifecycleState
}

// describe makes runtimes that differ in all that a listing may ask for.
func (tr *trial) describe() (all []described) {
	tr.Helper()
	for n := range 24 {
		d := described{id: store.RuntimeID(fmt.Sprintf("%c/%d", 'x'+n%3, n)), labels: map[string]string{}}
		if n%2 == 0 {
			d.labels["team"] = string(rune('a' + n%4))
		}
		if n%3 == 0 {
			d.labels["empty"] = ""
		}
		if n%5 > 0 {
			d.state = runtimeStates[n%5]
		}
		for i, current := range []store.InputLifecycleState{store.InputQueued, store.InputStaged, store.InputConsumed, store.InputQueued} {
			if n>>i%2 == 1 {
				d.inputs = append(d.inputs, current)
			}
		}
		writes := []batch.Write{labeling(d.id, d.labels)}
		if d.state != "" {
			writes = append(writes, setting(d.id, d.state))
		}
		for i, current := range d.inputs {
			s := accepted(byte(i))
			s.CurrentState = current
			writes = append(writes, putting(d.id, s))
		}
		tr.write(writes...)
		all = append(all, d)
	}
	return all
}

func (d *described) matches(l state.Listing) bool {
	for key, value := range l.Labels {
		if has, ok := d.labels[key]; !ok || has != value {
			return false
		}
	}
	return strings.HasPrefix(string(d.id), l.Prefix) && (len(l.States) == 0 || slices.Contains(l.States, d.state)) &&
		(len(l.Inputs) == 0 || slices.ContainsFunc(d.inputs, func(s store.InputLifecycleState) bool { return slices.Contains(l.Inputs, s) }))
}

func listedIsAskedFor(tr *trial) {
	all := tr.describe()
	for _, prefix := range []string{"", "x/", "y/1", "z/2", "X", "x/0"} {
		for _, labels := range []map[string]string{nil, {"team": "a"}, {"team": "c", "empty": ""}, {"empty": ""}, {"team": ""}, {"TEAM": "a"}, {"team": "b"}} {
			for _, states := range [][]store.RuntimeState{nil, {store.RuntimeIdle}, {store.RuntimeIdle, store.RuntimeRunning}, {store.RuntimeDestroyed}} {
				for _, inputs := range [][]store.InputLifecycleState{nil, {store.InputQueued}, {store.InputStaged, store.InputConsumed}, {store.InputAbandoned}} {
					l := state.Listing{Prefix: prefix, Labels: labels, States: states, Inputs: inputs}
					var want []store.RuntimeID
					for _, d := range all {
						if d.matches(l) {
							want = append(want, d.id)
						}
					}
					require.Equal(tr, want, tr.listed(l), "%+v", l)
					l.Limit = 2
					require.Equal(tr, want, tr.listed(l), "%+v", l)
					l.ByActivity = true
					require.ElementsMatch(tr, want, tr.listed(l), "%+v", l)
				}
			}
		}
	}
}

func summariesSayWhatThereIs(tr *trial) {
	for _, d := range tr.describe() {
		s := tr.summary(d.id)
		assert.Equal(tr, d.state, s.RuntimeState)
		assert.Equal(tr, tr.version(d.id), s.Version)
		assert.Equal(tr, len(d.inputs), s.Held.InputStates)
		assert.True(tr, maps.Equal(d.labels, s.Labels), "labels %v, not %v", s.Labels, d.labels)
		counts := map[store.InputLifecycleState]int{}
		for _, current := range d.inputs {
			counts[current]++
		}
		assert.True(tr, maps.Equal(counts, s.CountInputStates()))
		assert.Equal(tr, counts[store.InputConsumed], s.Ended)
		if has[state.Viewer](tr) {
			v := tr.look(d.id).Summary()
			assert.Equal(tr, summaryText(v), summaryText(s), "the View's summary")
		}
	}
}

func summaryText(s state.RuntimeSummary) string {
	text, err := json.Marshal(s)
	return fmt.Sprint(string(text), err, s.CountInputStates())
}

// summaries returns what all listings say.
func (tr *trial) summaries() (texts []string) {
	tr.Helper()
	for _, byActivity := range []bool{false, true} {
		all, err := tr.list(tr.Context(), state.Listing{ByActivity: byActivity})
		require.NoError(tr, err)
		for _, s := range all {
			texts = append(texts, summaryText(s))
		}
	}
	return texts
}

// standing makes runtimes that stand, between others that may go, and returns their ids.
func (tr *trial) standing() (ids []store.RuntimeID) {
	tr.Helper()
	for n := range 30 {
		id := store.RuntimeID(fmt.Sprint("standing ", n))
		tr.write(setting(store.RuntimeID(fmt.Sprint("passing ", n)), store.RuntimeIdle), setting(id, store.RuntimeIdle), labeling(id, map[string]string{"a": "b"}))
		ids = append(ids, id)
	}
	return ids
}

// standingListings ask for all runtimes that stand.
func standingListings() (all []state.Listing) {
	for _, limit := range []int{1, 2, 7} {
		for _, byActivity := range []bool{false, true} {
			p := state.Paging{Limit: limit}
			all = append(all, state.Listing{Paging: p, ByActivity: byActivity}, state.Listing{Paging: p, ByActivity: byActivity, Labels: map[string]string{"a": "b"}},
				state.Listing{Paging: p, ByActivity: byActivity, Prefix: "standing", States: []store.RuntimeState{store.RuntimeIdle}})
		}
	}
	return all
}

// listedAll returns an error unless those that stand are listed once, and in their order.
func listedAll(standing []store.RuntimeID, l state.Listing, got []store.RuntimeID) error {
	var found []store.RuntimeID
	for _, id := range got {
		if strings.HasPrefix(string(id), "standing") {
			found = append(found, id)
		}
	}
	if l.ByActivity {
		slices.SortFunc(found, func(a, b store.RuntimeID) int { return slices.Index(standing, a) - slices.Index(standing, b) })
	}
	if !slices.Equal(standing, found) {
		return fmt.Errorf("%+v lists %q, of which %q stand, and not %q", l, got, found, standing)
	}
	return nil
}

// standingIsListedOnce changes everything else between two that are listed.
func standingIsListedOnce(tr *trial) {
	for _, l := range standingListings() {
		tr.open()
		standing := tr.standing()
		n := 0
		var got []store.RuntimeID
		for summary, err := range tr.store.(lister).Runtimes(tr.Context(), l) {
			require.NoError(tr, err)
			got = append(got, summary.RuntimeID)
			id := store.RuntimeID(fmt.Sprint("passing ", n%30))
			if n < 60 {
				tr.write(deleting(id), setting(store.RuntimeID(fmt.Sprint("new ", n)), store.RuntimeIdle))
				tr.persist(standing[n%30], attempted(1, uint32(n)))
			}
			n++
		}
		require.NoError(tr, listedAll(standing, l, got))
		tr.close()
	}
}

func standingIsListedMeanwhile(tr *trial) {
	standing := tr.standing()
	var over atomic.Bool
	require.NoError(tr, together(4, func(caller int) error {
		if caller == 0 {
			defer over.Store(true)
			for range repeats(4) {
				for _, l := range standingListings() {
					all, err := tr.list(tr.Context(), l)
					if err != nil {
						return err
					}
					var got []store.RuntimeID
					for _, summary := range all {
						got = append(got, summary.RuntimeID)
					}
					if err := listedAll(standing, l, got); err != nil {
						return err
					}
				}
			}
			return nil
		}
		for turn := uint32(0); !over.Load(); turn++ {
			id := store.RuntimeID(fmt.Sprint("passing ", turn%10*3+uint32(caller-1)))
			if _, err := tr.tryBatch(batch.Batch{Then: []batch.Write{deleting(id)}}); err != nil {
				return err
			}
			if err := tr.store.PersistRuntimeState(tr.Context(), id, store.RuntimeRunning); err != nil {
				return err
			}
			if err := tr.store.PersistInputState(tr.Context(), standing[(turn+uint32(caller))%30], attempted(1, turn)); err != nil {
				return err
			}
			runtime.Gosched()
		}
		return nil
	}))
}

// listable makes what listings show.
func (tr *trial) listable() {
	tr.Helper()
	for i, d := range tr.describe() {
		if i%4 == 0 {
			tr.fill(d.id)
		}
		if i%7 == 0 {
			tr.write(deleting(d.id))
		}
	}
}

func listingsAreThereAgain(tr *trial) {
	tr.recording()
	tr.listable()
	for range 2 {
		want := tr.summaries()
		for range 2 {
			tr.reopen()
			require.Equal(tr, want, tr.summaries(), "after it was reopened")
		}
		tr.write(labeling("x/3", map[string]string{"new": "label"}), setting("new", store.RuntimeIdle))
		tr.write(deleting("y/1"))
	}
}

func importsHaveListings(tr *trial) {
	tr.recording()
	tr.listable()
	want, file := tr.summaries(), tr.export()
	tr.close()
	tr.recording()
	tr.importAll(file)
	require.Equal(tr, want, tr.summaries(), "after an import")
	tr.keeps(file, "after an import")
	require.Equal(tr, want, tr.summaries(), "after an import that was reopened")
}

func badListingsAreRefused(tr *trial) {
	tr.fill("a")
	for _, byActivity := range []bool{false, true} {
		for _, bad := range []state.Listing{{States: []store.RuntimeState{store.RuntimeIdle, "x"}}, {Inputs: []store.InputLifecycleState{""}}, {States: []store.RuntimeState{""}}} {
			bad.ByActivity = byActivity
			all, err := tr.list(tr.Context(), bad)
			tr.refused("Runtimes", err, store.ErrInvalidValue)
			require.Empty(tr, all)
		}
		l := state.Listing{ByActivity: byActivity}
		for _, e := range tr.ended() {
			_, err := tr.list(e.ctx, l)
			tr.refused("Runtimes", err, e.err)
		}
	}
	if has[io.Closer](tr) {
		tr.close()
		for _, byActivity := range []bool{false, true} {
			_, err := tr.list(tr.Context(), state.Listing{ByActivity: byActivity})
			tr.refused("Runtimes", err, store.ErrClosed)
		}
	}
}
