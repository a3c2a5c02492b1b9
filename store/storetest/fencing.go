package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func fencing() []promise {
	return []promise{
		{words: "the version of an input is the revision of its last change", try: inputsHaveVersions},
		{words: "the version of an input is that of the batch that changed it", try: batchesGiveVersions},
		{words: "what does not change an input leaves its version", try: othersLeaveVersions},
		{words: "of inputs that share a key the first one is loaded by it", try: needs[state.InputLoader](firstIsLoadedByKey)},
		{words: "an input that is deleted and made again never has an earlier version", try: inputVersionsDoNotReturn},
		{words: "a claim that was put back commits nothing", try: staleClaimsCommitNothing},
		{words: "the versions of inputs are there when the store is reopened", try: needsReopen(inputVersionsAreThereAgain)},
		{words: "an import gives inputs versions that no fence before it has", try: needs[archiver](importsAreFenced)},
	}
}

// noInputVersions returns what a store lacks to show the versions of inputs.
func noInputVersions(f Factory, s store.RuntimeStore) (missing string) {
	if no[state.Viewer](f, s) == "" {
		return ""
	}
	return no[state.InputLoader](f, s)
}

// needsReopen wraps a promise that is skipped unless stores can be reopened.
func needsReopen(try func(*trial)) func(*trial) {
	return func(tr *trial) {
		if tr.factory.Reopen == nil {
			tr.Skip("skipped: the Factory has no Reopen")
		}
		try(tr)
	}
}

// inputVersion returns the version of an input, 0 if there is none, after all ways to look
// at it have agreed.
func (tr *trial) inputVersion(id store.RuntimeID, input store.InputID) (version uint64) {
	tr.Helper()
	loaded, ok, err := tr.store.LoadInputState(tr.Context(), id, input)
	require.NoError(tr, err, "LoadInputState")
	seen := map[string]uint64{}
	note := func(way string, in state.Input, found bool) {
		tr.Helper()
		require.Equal(tr, ok, found, "%s finds input %v of runtime %q", way, input, id)
		if ok {
			require.Equal(tr, textOf(loaded), textOf(in.State), way)
		}
		version, seen[way] = in.Version, in.Version
	}
	if l, has := tr.store.(state.InputLoader); has {
		in, found, err := l.LoadInput(tr.Context(), id, input)
		require.NoError(tr, err, "LoadInput")
		note("LoadInput", in, found)
		if key := loaded.IdempotencyKey; key != nil {
			in, found, err = l.LoadInputByKey(tr.Context(), id, *key)
			require.NoError(tr, err, "LoadInputByKey")
			note("LoadInputByKey", in, found)
		}
	}
	if has[state.Viewer](tr) {
		v := tr.look(id)
		in, found := v.Input(input)
		note("View.Input", in, found)
		var listed state.Input
		for in := range v.Inputs() {
			if in.State.InputID == input {
				listed = in
			}
		}
		note("View.Inputs", listed, listed.Version != 0)
		listed = state.Input{}
		p := state.Paging{Limit: 2}
		for more := true; more; {
			page := v.InputPage(p)
			for _, in := range page.Items {
				if in.State.InputID == input {
					listed = in
				}
			}
			p.From, more = page.Next, page.More
		}
		note("View.InputPage", listed, listed.Version != 0)
	}
	for way, one := range seen {
		require.Equal(tr, version, one, "the version of input %v that %s returns, of %v", input, way, seen)
	}
	require.Equal(tr, ok, version != 0, "an input that is there has a version")
	fence := func(version uint64) error {
		_, err := tr.tryBatch(batch.Batch{If: []batch.Condition{batch.InputVersionIs{RuntimeID: id, InputID: input, Version: version}}})
		return err
	}
	if ok {
		require.NoError(tr, fence(version), "InputVersionIs of the version that is shown")
	}
	for _, other := range []uint64{0, version + 1, version - 1, math.MaxUint64} {
		tr.refused(fmt.Sprintf("InputVersionIs of %d, where %d is shown", other, version), fence(other), store.ErrConflict)
	}
	return version
}

// versionsOf returns the versions of inputs 0 to 15.
func (tr *trial) versionsOf(id store.RuntimeID) (all [16]uint64) {
	tr.Helper()
	for n := range all {
		all[n] = tr.inputVersion(id, store.InputID{byte(n)})
	}
	return all
}

func inputsHaveVersions(tr *trial) {
	tr.setRuntime("a", store.RuntimeIdle)
	want := [16]uint64{}
	require.Equal(tr, want, tr.versionsOf("a"), "before there are inputs")
	changes := map[string][]byte{
		"CommitSessionBoundary": {11}, "AtomicApply": {12}, "PersistInputState": {13}, "AtomicLifecycleCommit": {14},
	}
	for mark := range uint32(3) {
		for _, w := range writes() {
			require.NoError(tr, w.do(tr.Context(), tr.store, "a", mark+1), w.name)
			for _, n := range changes[w.name] {
				want[n] = tr.write().Revision
			}
			require.Equal(tr, want, tr.versionsOf("a"), "after %s", w.name)
			require.NoError(tr, w.do(tr.Context(), tr.store, "b", mark+1), w.name)
			require.Equal(tr, want, tr.versionsOf("a"), "after %s of another runtime", w.name)
		}
	}
	require.NoError(tr, writes()[2].do(tr.Context(), tr.store, "a", 3))
	require.Greater(tr, tr.inputVersion("a", store.InputID{13}), want[13], "the same state again is a change")
}

func batchesGiveVersions(tr *trial) {
	want := [16]uint64{}
	for range 3 {
		result := tr.write(putting("a", keyed(1, "one")), putting("a", accepted(2)), putting("a", attempted(1, 7)), putting("b", accepted(4)), putting("a", keyed(1, "one")))
		want[1], want[2] = result.Revision, result.Revision
		require.Equal(tr, want, tr.versionsOf("a"), "after PutInputState")
		want[3] = tr.write(bounding("a", committing(store.RunID{1}, accepted(3))), setting("a", store.RuntimeIdle)).Revision
		require.Equal(tr, want, tr.versionsOf("a"), "after CommitBoundary")
		tr.write(batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{2}})
		want[2] = 0
		require.Equal(tr, want, tr.versionsOf("a"), "after DeleteInputState")
		want[5] = tr.write(putting("a", accepted(5)), batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{5}}, putting("a", attempted(5, 1))).Revision
		require.Equal(tr, want, tr.versionsOf("a"), "after it was made twice in a batch")
	}
}

func othersLeaveVersions(tr *trial) {
	tr.write(putting("a", keyed(1, "one")), putting("a", accepted(2)))
	want := tr.versionsOf("a")
	tr.setRuntime("a", store.RuntimeIdle)
	tr.apply("a", applying(store.RunID{2}, 0))
	tr.commit("a", committing(store.RunID{1}))
	tr.lifecycle("a", store.RuntimeRunning)
	tr.write(batch.PutSnapshot{RuntimeID: "a", Snapshot: []byte("x")}, batch.PutLabels{RuntimeID: "a", Labels: map[string]string{"a": "b"}})
	tr.write(batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{9}})
	_ = tr.conflictOf(batch.Batch{If: []batch.Condition{batch.RuntimeAbsent{RuntimeID: "a"}}, Then: []batch.Write{putting("a", accepted(1))}})
	_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{putting("a", accepted(1)), putting("a", store.InputState{})}})
	tr.refused("a batch with a bad write", err, store.ErrInvalidValue)
	require.Equal(tr, want, tr.versionsOf("a"))
	tr.write(batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{2}})
	want[2] = 0
	require.Equal(tr, want, tr.versionsOf("a"), "after another input was deleted")
	tr.write(putting("a", accepted(2)))
	want[2] = tr.write().Revision
	require.Equal(tr, want, tr.versionsOf("a"), "after another input was made again")
}

func firstIsLoadedByKey(tr *trial) {
	tr.persist("a", accepted(5), keyed(3, "k"), keyed(9, "k"), keyed(4, ""))
	byKey := func(key string) int {
		tr.Helper()
		in, ok, err := tr.store.(state.InputLoader).LoadInputByKey(tr.Context(), "a", key)
		require.NoError(tr, err)
		if !ok {
			require.Zero(tr, in, "an input that is not there")
			return -1
		}
		one, ok, err := tr.store.(state.InputLoader).LoadInput(tr.Context(), "a", in.State.InputID)
		require.NoError(tr, err)
		require.True(tr, ok)
		require.Equal(tr, one.Version, in.Version)
		require.Equal(tr, textOf(one.State), textOf(in.State))
		scribble(&one.State)
		scribble(&in.State)
		return int(in.State.InputID[0])
	}
	for range 2 {
		assert.Equal(tr, []int{3, 4, -1}, []int{byKey("k"), byKey(""), byKey("K")}, "the first input with each key")
	}
	tr.persist("a", accepted(3))
	assert.Equal(tr, 9, byKey("k"), "the first input that still has it")
	tr.persist("a", keyed(3, "k"))
	assert.Equal(tr, 3, byKey("k"), "its place is the first again")
	tr.write(batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{3}})
	tr.persist("a", keyed(3, "k"))
	assert.Equal(tr, 9, byKey("k"), "one that is made again is the last")
	_, ok, err := tr.store.(state.InputLoader).LoadInputByKey(tr.Context(), "b", "k")
	require.NoError(tr, err)
	assert.False(tr, ok, "another runtime")
	for _, e := range tr.ended() {
		_, _, one := tr.store.(state.InputLoader).LoadInput(e.ctx, "a", store.InputID{3})
		tr.refused("LoadInput", one, e.err)
		_, _, one = tr.store.(state.InputLoader).LoadInputByKey(e.ctx, "a", "k")
		tr.refused("LoadInputByKey", one, e.err)
	}
}

func inputVersionsDoNotReturn(tr *trial) {
	seen := map[uint64]bool{}
	for range 4 {
		for _, undo := range [][]batch.Write{{batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{1}}}, {deleting("a")}} {
			version := tr.write(putting("a", accepted(1))).Revision
			require.False(tr, seen[version], "version %d again", version)
			seen[version] = true
			require.Equal(tr, version, tr.inputVersion("a", store.InputID{1}))
			tr.write(undo...)
			require.Zero(tr, tr.inputVersion("a", store.InputID{1}))
			again := tr.write(append(append([]batch.Write{putting("a", accepted(1))}, undo...), putting("a", accepted(1)))...).Revision
			require.Equal(tr, again, tr.inputVersion("a", store.InputID{1}), "made twice in a batch")
			seen[again] = true
			for old := range seen {
				_, err := tr.tryBatch(tr.fenced(old, putting("b", accepted(1))))
				require.Equal(tr, old == again, err == nil, "a fence at %d, and the input is at %d", old, again)
			}
		}
	}
}

// fenced is a batch of who has claimed input 1 of runtime a.
func (tr *trial) fenced(claim uint64, writes ...batch.Write) batch.Batch {
	return batch.Batch{If: []batch.Condition{batch.InputVersionIs{RuntimeID: "a", InputID: store.InputID{1}, Version: claim}}, Then: writes}
}

// inState returns input 1 in a state.
func inState(current store.InputLifecycleState) store.InputState {
	s := keyed(1, "one")
	s.CurrentState = current
	return s
}

// claim claims input 1 of runtime a, which is at a version, and returns the claim.
func (tr *trial) claim(version uint64) (claim uint64) {
	tr.Helper()
	result, err := tr.tryBatch(tr.fenced(version, putting("a", inState(store.InputStaged))))
	require.NoError(tr, err, "a claim of what stands")
	return result.Revision
}

func staleClaimsCommitNothing(tr *trial) {
	queued := tr.write(putting("a", inState(store.InputQueued))).Revision
	first := tr.claim(queued)
	tr.refusedClaims("of what was claimed", queued)
	result, err := tr.tryBatch(tr.fenced(first, setting("a", store.RuntimeRunning)))
	require.NoError(tr, err, "the one who has claimed it goes on")
	require.Greater(tr, result.Revision, first)

	queued = tr.write(putting("a", inState(store.InputQueued))).Revision // somebody puts it back
	tr.refusedClaims("after it was put back", first)
	second := tr.claim(queued)
	tr.refusedClaims("after another one has claimed it", first, queued)
	c := committing(store.RunID{1}, inState(store.InputConsumed))
	_, err = tr.tryBatch(tr.fenced(second, bounding("a", c)))
	require.NoError(tr, err, "the second claim commits")
	tr.refusedClaims("after the second one has committed", first, second)
	assert.Equal(tr, store.InputConsumed, tr.input("a", store.InputID{1}).CurrentState)
}

// refusedClaims checks that no batch of such a claim is applied.
func (tr *trial) refusedClaims(when string, claims ...uint64) {
	tr.Helper()
	before := tr.everything()
	stands := tr.inputVersion("a", store.InputID{1})
	for _, claim := range claims {
		for _, writes := range [][]batch.Write{
			{putting("a", inState(store.InputConsumed))}, {bounding("a", committing(store.RunID{7}, inState(store.InputConsumed)))},
			{setting("b", store.RuntimeIdle)}, {deleting("a")}, {},
		} {
			_, err := tr.tryBatch(tr.fenced(claim, writes...))
			tr.refused(fmt.Sprintf("a batch of claim %d, %s, when the input is at %d", claim, when, stands), err, store.ErrConflict)
			conflict, ok := errors.AsType[*batch.ConflictError](err)
			require.True(tr, ok, "%v", err)
			require.EqualValues(tr, "a", conflict.RuntimeID)
		}
	}
	require.Equal(tr, before, tr.everything(), when)
}

func inputVersionsAreThereAgain(tr *trial) {
	first := tr.claim(tr.write(putting("a", inState(store.InputQueued))).Revision)
	queued := tr.write(putting("a", inState(store.InputQueued))).Revision
	second := tr.claim(queued)
	tr.write(putting("a", accepted(2)), putting("a", accepted(3)), putting("a", accepted(4)))
	tr.write(batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{3}})
	tr.persist("a", attempted(4, 1))
	want := tr.versionsOf("a")
	require.Equal(tr, second, want[1])
	for range 2 {
		tr.reopen()
		require.Equal(tr, want, tr.versionsOf("a"), "after it was reopened")
		tr.refusedClaims("after it was reopened", first, queued)
	}
	result, err := tr.tryBatch(tr.fenced(second, putting("a", inState(store.InputConsumed))))
	require.NoError(tr, err, "a claim outlives the store that gave it")
	want[1] = result.Revision
	tr.reopen()
	require.Equal(tr, want, tr.versionsOf("a"), "after it went on")
	tr.refusedClaims("after it went on", second)
}

// An import is a copy of a store that goes on to have revisions of its own: no claim on the
// one may hold on the other.
func importsAreFenced(tr *trial) {
	const leap = 1 << 32
	claim := tr.claim(tr.write(putting("a", inState(store.InputQueued))).Revision)
	tr.write(putting("a", accepted(2)), setting("b", store.RuntimeIdle))
	versions, revision, runtimes := tr.versionsOf("a"), tr.write().Revision, []uint64{tr.version("a"), tr.version("b")}
	file := tr.export()
	var seen []uint64
	note := func(when string) (at uint64) {
		tr.Helper()
		all := tr.versionsOf("a")
		at = all[1]
		require.GreaterOrEqual(tr, at, revision+leap, when)
		for n := range all {
			require.Equal(tr, versions[n] != 0, all[n] != 0, "%s: input %d", when, n)
			require.True(tr, all[n] == 0 || all[n] == at, "%s: all inputs have one version: %v", when, all)
		}
		require.NotContains(tr, seen, at, "%s: another import has given the same version", when)
		seen = append(seen, at)
		require.Equal(tr, runtimes, []uint64{tr.version("a"), tr.version("b")}, "%s: the versions of runtimes", when)
		require.Equal(tr, revision, tr.write().Revision, "%s: the revision", when)
		tr.refusedClaims(when, append([]uint64{claim, revision}, seen[:len(seen)-1]...)...)
		return at
	}
	for range 2 {
		tr.close()
		tr.open()
		tr.importAll(file)
		at := note("after an import")
		if tr.factory.Reopen != nil {
			tr.reopen()
			require.Equal(tr, at, tr.inputVersion("a", store.InputID{1}), "after an import that was reopened")
			require.Equal(tr, revision, tr.write().Revision, "after an import that was reopened")
		}
	}
	file = tr.export()
	tr.close()
	tr.open()
	require.NoError(tr, tr.tryImport(tr.Context(), strings.NewReader(file)))
	at := note("after an import of an import")

	next := tr.claim(at)
	require.Greater(tr, next, at, "the next revision")
	require.Equal(tr, next, tr.version("a"))
	require.Equal(tr, next+1, tr.write(setting("b", store.RuntimeRunning)).Revision, "and they go on one by one")
	tr.refusedClaims("after an import that went on", append(seen, claim, revision)...)
	if tr.factory.Reopen != nil {
		tr.reopen()
		require.Equal(tr, next, tr.inputVersion("a", store.InputID{1}), "after an import that went on was reopened")
		require.Equal(tr, next+1, tr.write().Revision)
	}
	require.Equal(tr, next+2, tr.write(putting("a", inState(store.InputConsumed))).Revision)
}
