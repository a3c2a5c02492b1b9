package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func following() []promise {
	return []promise{
		{words: "after the empty cursor come all runtimes, then every change", try: allRuntimesComeFirst},
		{words: "a change says what has changed", try: changesSayWhat},
		{words: "of each runtime comes the last change, with what the others were", try: changesAreJoined},
		{words: "a deletion comes, and a runtime that was deleted and made again is made", try: deletionsAreChanges},
		{words: "what fails is no change", try: failuresAreNoChanges},
		{words: "a cursor goes on after its change, and misses none", try: cursorsGoOn},
		{words: "a change that comes while the caller holds another is seen next", try: changesMeanwhileCome},
		{words: "no follower misses the last change of any runtime, however many there are", try: lastChangesAreSeen},
		{words: "a cursor of another store has expired, and what is none is refused", try: otherCursorsAreRefused},
		{words: "a follower that is far behind misses no runtime", try: farBehindMissesNothing},
		{words: "a cursor has expired when deletions after it are forgotten", try: oldCursorsExpire},
		{words: "cursors go on when the store is reopened", try: needsReopen(cursorsGoOnAgain)},
		{words: "a feed ends with the error of its context", try: feedsEndWithTheirContext},
		{words: "a feed ends with ErrClosed at Close", try: needs[io.Closer](feedsEndAtClose)},
		{words: "a feed that has ended leaves no goroutine", try: feedsLeaveNothing},
	}
}

// follow calls body with each change after a cursor, until body says that it has seen
// enough. It returns the error with which the feed ends before that.
func (tr *trial) follow(ctx context.Context, after state.ChangeCursor, body func(state.Change) (enough bool)) (err error) {
	for c, failed := range tr.store.(state.Follower).Changes(ctx, after) {
		switch {
		case err != nil:
			return errors.New("a feed went on after its error")
		case failed != nil:
			err = failed
		case c.What == 0 || c.Version == 0 || c.Cursor == "" || c.What.Has(state.RuntimeDeleted) && c.What != state.RuntimeDeleted:
			return fmt.Errorf("a feed yielded the change %+v", c)
		case body(c):
			return nil
		}
	}
	if err == nil {
		err = errors.New("a feed ended without an error")
	}
	return err
}

// cursor returns the cursor after all changes.
func (tr *trial) cursor() state.ChangeCursor {
	tr.Helper()
	c, err := tr.store.(state.Follower).ChangesCursor(tr.Context())
	require.NoError(tr, err, "ChangesCursor")
	return c
}

// changes returns those after a cursor. It makes one more to know when it has all.
func (tr *trial) changes(after state.ChangeCursor) (all []state.Change) {
	tr.Helper()
	last := tr.write(setting("comes last", store.RuntimeIdle)).Revision
	require.NoError(tr, tr.follow(tr.patient(), after, func(c state.Change) bool {
		if c.RuntimeID == "comes last" {
			return true
		}
		all = append(all, c)
		return false
	}), "Changes")
	require.GreaterOrEqual(tr, tr.version("comes last"), last)
	for _, c := range all {
		if c.What != state.RuntimeDeleted {
			require.Equal(tr, tr.version(c.RuntimeID), c.Version, "the version of %+v", c)
		} else {
			require.Zero(tr, tr.version(c.RuntimeID), "%+v", c)
		}
	}
	return all
}

// namesOf returns the runtimes of changes, those that were deleted in brackets.
func namesOf(all []state.Change) string {
	names := make([]string, len(all))
	for i, c := range all {
		if names[i] = string(c.RuntimeID); c.What == state.RuntimeDeleted {
			names[i] = "(" + names[i] + ")"
		}
	}
	return strings.Join(names, " ")
}

func allRuntimesComeFirst(tr *trial) {
	assert.Empty(tr, tr.changes(""), "an empty store")
	tr.fill("b")
	tr.fill("a")
	tr.setRuntime("gone", store.RuntimeIdle)
	tr.write(deleting("gone"))
	tr.setRuntime("b", store.RuntimeIdle)
	for range 2 { // the second time, it may know them from before
		seen := map[store.RuntimeID]bool{}
		for _, c := range tr.changes("") {
			seen[c.RuntimeID] = c.What != state.RuntimeDeleted
		}
		delete(seen, "gone") // it may say so
		assert.Equal(tr, map[store.RuntimeID]bool{"a": true, "b": true}, seen)
	}
	var got []store.RuntimeID
	then := []store.RuntimeID{"a", "new", "b", "a"}
	first := true
	require.NoError(tr, tr.follow(tr.patient(), "", func(c state.Change) bool {
		if !first {
			got = append(got, c.RuntimeID)
		}
		first = first && c.RuntimeID != "comes last"
		if !first && len(got) < len(then) {
			tr.setRuntime(then[len(got)], store.RuntimeIdle)
		}
		return len(got) == len(then)
	}))
	assert.Equal(tr, then, got, "one after the other")
}

func changesSayWhat(tr *trial) {
	const made, states, session, inputs, receipts, labels = state.RuntimeMade, state.StateChanged, state.SessionChanged, state.InputsChanged, state.ReceiptsChanged, state.LabelsChanged
	tr.changes("")
	of := map[string]state.What{
		"CommitSessionBoundary": session | inputs | receipts, "AtomicApply": session | inputs | receipts, "PersistInputState": inputs,
		"PersistRuntimeState": states, "AtomicLifecycleCommit": states | inputs,
	}
	for _, w := range writes() {
		for mark := range uint32(2) {
			after := tr.cursor()
			require.NoError(tr, w.do(tr.Context(), tr.store, store.RuntimeID(w.name), mark+1))
			want := of[w.name]
			if mark == 0 {
				want |= made
			}
			all := tr.changes(after)
			require.Len(tr, all, 1)
			assert.Equal(tr, want.String(), all[0].What.String(), w.name)
		}
	}
	tr.fill("a")
	for _, one := range []struct {
		writes []batch.Write
		want   state.What
	}{
		{[]batch.Write{labeling("a", map[string]string{"a": "b"})}, labels},
		{[]batch.Write{batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{1}}}, inputs},
		{[]batch.Write{setting("a", store.RuntimeRunning), labeling("a", nil)}, states | labels},
		{[]batch.Write{bounding("a", committing(store.RunID{1}))}, session | receipts},
		{[]batch.Write{putting("b", accepted(1))}, made | inputs},
		{[]batch.Write{deleting("a")}, state.RuntimeDeleted},
		{[]batch.Write{setting("a", store.RuntimeIdle)}, made | states},
		{[]batch.Write{deleting("a"), putting("a", accepted(1))}, made | inputs},
	} {
		after := tr.cursor()
		tr.write(one.writes...)
		all := tr.changes(after)
		require.Len(tr, all, 1)
		assert.Equal(tr, one.want.String(), all[0].What.String(), "%+v", one.writes)
	}
}

func changesAreJoined(tr *trial) {
	tr.setRuntime("a", store.RuntimeIdle)
	tr.setRuntime("b", store.RuntimeIdle)
	after := tr.cursor()
	tr.persist("a", accepted(1))
	tr.write(setting("c", store.RuntimeIdle), labeling("b", map[string]string{"a": "b"}))
	tr.setRuntime("a", store.RuntimeRunning)
	tr.persist("c", accepted(1))
	all := tr.changes(after)
	require.Equal(tr, "b a c", namesOf(all), "in the order of their last changes")
	assert.Equal(tr, state.LabelsChanged, all[0].What)
	assert.Equal(tr, state.InputsChanged|state.StateChanged, all[1].What)
	assert.Equal(tr, state.RuntimeMade|state.InputsChanged|state.StateChanged, all[2].What)
	assert.Less(tr, all[0].Version, all[1].Version)
	assert.Less(tr, all[1].Version, all[2].Version)
}

func deletionsAreChanges(tr *trial) {
	tr.fill("a")
	tr.fill("b")
	after := tr.cursor()
	revision := tr.write(deleting("a")).Revision
	all := tr.changes(after)
	require.Equal(tr, "(a)", namesOf(all))
	assert.Equal(tr, revision, all[0].Version, "the revision of the deletion")
	after = all[0].Cursor
	tr.persist("a", accepted(1))
	tr.write(deleting("b"))
	tr.setRuntime("b", store.RuntimeIdle)
	tr.setRuntime("new", store.RuntimeIdle)
	tr.write(deleting("new"))
	all = tr.changes(after)
	require.Equal(tr, "a b (new)", namesOf(all))
	assert.Equal(tr, state.RuntimeMade|state.InputsChanged, all[0].What)
	assert.Equal(tr, state.RuntimeMade|state.StateChanged, all[1].What, "not what it was before")
	after = all[2].Cursor
	tr.write(deleting("a"), deleting("b"))
	assert.Equal(tr, "(a) (b)", namesOf(tr.changes(after)))
}

func failuresAreNoChanges(tr *trial) {
	tr.fill("a")
	after := tr.cursor()
	tr.allBadWrites("a", tr.Context())
	for _, e := range tr.ended() {
		tr.allRefused(tr.allWrites("a", e.ctx), e.err, "under a context that has ended")
	}
	_, err := tr.tryBatch(batch.Batch{If: []batch.Condition{batch.RuntimeIn("a", store.RuntimeStopped)}, Then: []batch.Write{setting("a", store.RuntimeRunning), deleting("b")}})
	tr.refused("Commit", err, store.ErrConflict)
	_, err = tr.tryBatch(batch.Batch{Then: []batch.Write{setting("b", store.RuntimeIdle), deleting("a"), setting("a", "")}})
	tr.refused("Commit", err, store.ErrInvalidValue)
	tr.write(deleting("none"))
	tr.write()
	tr.allReads("a", tr.Context())
	assert.Empty(tr, namesOf(tr.changes(after)))
}

func changesMeanwhileCome(tr *trial) {
	tr.setRuntime("a", store.RuntimeIdle)
	n := 0
	require.NoError(tr, tr.follow(tr.patient(), "", func(c state.Change) bool {
		tr.setRuntime("a", store.RuntimeIdle)
		tr.setRuntime("a", store.RuntimeRunning)
		if n++; n > 1 {
			require.Equal(tr, state.StateChanged, c.What)
		}
		return n == 5
	}))
	for range repeats(20) { // now it has to wait, most likely
		after := tr.cursor()
		require.NoError(tr, together(2, func(caller int) error {
			if caller == 0 {
				return tr.follow(tr.patient(), after, func(c state.Change) bool { return c.RuntimeID == "a" })
			}
			for range 30 {
				runtime.Gosched()
			}
			return tr.store.PersistRuntimeState(tr.Context(), "a", store.RuntimeIdle)
		}))
	}
}

// Each follower keeps the versions of what there is, some begin again now and then, and all
// must agree in the end.
func lastChangesAreSeen(tr *trial) {
	const writers, each, end = 3, 4, "the end"
	ctx := tr.patient()
	var ended atomic.Int32
	var mirrors [20]map[store.RuntimeID]uint64
	require.NoError(tr, together(writers+len(mirrors), func(caller int) error {
		random := rand.New(rand.NewPCG(uint64(caller), 1))
		if caller < writers {
			for range repeats(200) {
				id := store.RuntimeID(fmt.Sprint(caller, " ", random.IntN(each)))
				writes := []batch.Write{setting(id, store.RuntimeIdle)}
				if random.IntN(4) == 0 {
					writes = []batch.Write{deleting(id), setting(store.RuntimeID(fmt.Sprint(caller, " ", random.IntN(each))), store.RuntimeIdle)}
				}
				if _, err := tr.store.(batch.Committer).Commit(ctx, batch.Batch{Then: writes}); err != nil {
					return err
				}
				for range random.IntN(8) {
					runtime.Gosched()
				}
			}
			if ended.Add(1) < writers {
				return nil
			}
			return tr.store.PersistRuntimeState(ctx, end, store.RuntimeIdle)
		}
		mirror, after, over := map[store.RuntimeID]uint64{}, state.ChangeCursor(""), false
		mirrors[caller-writers] = mirror
		for !over {
			var wrong error
			err := tr.follow(ctx, after, func(c state.Change) bool {
				if c.Version < mirror[c.RuntimeID] {
					wrong = fmt.Errorf("%+v came after version %d", c, mirror[c.RuntimeID])
				}
				if mirror[c.RuntimeID] = c.Version; c.What == state.RuntimeDeleted {
					delete(mirror, c.RuntimeID)
				}
				for range caller % 4 * 20 { // some take their time
					runtime.Gosched()
				}
				after, over = c.Cursor, c.RuntimeID == end
				return over || wrong != nil || random.IntN(10) == 0
			})
			if err = errors.Join(err, wrong); err != nil {
				return err
			}
		}
		return nil
	}))
	want := map[store.RuntimeID]uint64{end: tr.version(end)}
	for n := range writers * each {
		id := store.RuntimeID(fmt.Sprint(n%writers, " ", n/writers))
		if version := tr.version(id); version > 0 {
			want[id] = version
		}
	}
	for _, mirror := range mirrors {
		require.Equal(tr, want, mirror, "what a follower has seen")
	}
}
