package storetest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

var keepAll = store.Keep{For: 1000 * time.Hour}

// keeping continues the trial with a store that keeps versions.
func (tr *trial) keeping(keep store.Keep) {
	tr.Helper()
	tr.openWith(loopstore.Options{Retention: store.Retention{Sessions: keep}})
}

// A versionOf is a version of a session as it must be.
type versionOf struct {
	number uint64
	content
	at *place // the receipt that it was committed with
}

// sessionWith returns the version that view.Sessions shows, as a text.
func sessionWith(v state.SessionVersion) string {
	s := &v.Snapshot
	return fmt.Sprintf("%d: %v %s %d %s by %v %v %d", v.Number, s.Format(), s.Digest(), s.MessageCount(), digestOf(s.String()), v.Committed, v.RunID, v.Sequence)
}

func (v versionOf) String() string {
	at := place{}
	if v.at != nil {
		at = *v.at
	}
	return fmt.Sprintf("%d: %v %s %d %s by %v %v %d", v.number, v.format, v.digest, v.count, digestOf(v.text), v.at != nil, at.run, at.sequence)
}

// has checks that these are the versions of a runtime's session.
func (tr *trial) has(id store.RuntimeID, want []versionOf, when string) {
	tr.Helper()
	v, there := tr.look(id), make(map[uint64]bool)
	var got, wanted []string
	for one := range v.Sessions() {
		got = append(got, sessionWith(one))
	}
	for _, one := range want {
		wanted, there[one.number] = append(wanted, one.String()), true
		at, ok := v.SessionAt(one.number)
		require.True(tr, ok, "%s: SessionAt(%d)", when, one.number)
		require.Equal(tr, one.String(), sessionWith(at), "%s: SessionAt(%d)", when, one.number)
		loaded, ok, err := tr.store.(state.Historian).LoadSessionAt(tr.Context(), id, one.number)
		require.NoError(tr, err, "%s: LoadSessionAt", when)
		require.True(tr, ok, "%s: LoadSessionAt(%d)", when, one.number)
		tr.shows(loaded, one.content, fmt.Sprintf("%s: LoadSessionAt(%d)", when, one.number))
	}
	require.Equal(tr, wanted, got, "%s: Sessions", when)
	last := uint64(0)
	if len(want) > 0 {
		last = want[len(want)-1].number
		tr.holds(id, want[len(want)-1].content, when)
	}
	for number := range last + 3 {
		if !there[number] {
			tr.isNotThere(id, number, when)
		}
	}
	tr.isNotThere(id, math.MaxUint64, when)
}

func (tr *trial) isNotThere(id store.RuntimeID, number uint64, when string) {
	tr.Helper()
	_, ok := tr.look(id).SessionAt(number)
	require.False(tr, ok, "%s: SessionAt(%d)", when, number)
	loaded, ok, err := tr.store.(state.Historian).LoadSessionAt(tr.Context(), id, number)
	require.NoError(tr, err, "%s: LoadSessionAt", when)
	require.False(tr, ok, "%s: LoadSessionAt(%d)", when, number)
	require.Zero(tr, loaded, "%s: LoadSessionAt(%d)", when, number)
}

func restoring(id store.RuntimeID, number uint64) batch.Write {
	return batch.RestoreSession{RuntimeID: id, Number: number}
}

// boundWith is a commit of a session to a run.
func boundWith(run byte, d store.SessionDelta) store.BoundaryCommit {
	c := committing(store.RunID{run})
	c.Session = d
	return c
}

// putVersions makes some versions of every kind in a runtime, and returns them.
func (tr *trial) putVersions(id store.RuntimeID) (all []versionOf) {
	tr.Helper()
	note := func(c content, at *place) {
		all = append(all, versionOf{uint64(len(all) + 1), c, at})
	}
	lines := linesOf(strings.Repeat(lineBy(1, 1, 500), 100))
	tr.commit(id, boundWith(1, meerkatOf(3, 1000).delta()))
	note(meerkatOf(3, 1000), &place{store.RunID{1}, 0})
	tr.commit(id, boundWith(1, meerkatOf(4, 1000).delta()))
	note(meerkatOf(4, 1000), &place{store.RunID{1}, 1})
	a := applying(store.RunID{2}, 7)
	a.Session = &store.SessionDelta{SessionSnapshot: []byte("as it came")}
	tr.apply(id, a)
	note(content{text: "as it came"}, &place{store.RunID{2}, 7})
	tr.write(putSession(id, lines.delta()))
	note(lines, nil)
	tr.commit(id, boundWith(1, adding(store.FormatLines, lineBy(2, 2, 9), 0)))
	note(lines.added(lineBy(2, 2, 9), 0), &place{store.RunID{1}, 2})
	tr.write(bounding(id, boundWith(1, adding(store.FormatLines, "{}\n", 0))), putSession(id, opaqueOf("x", 7).delta()))
	note(lines.added(lineBy(2, 2, 9)+"{}\n", 0), &place{store.RunID{1}, 3})
	note(opaqueOf("x", 7), nil)
	tr.write(restoring(id, 4))
	note(lines, nil)
	tr.write(putSession(id, lines.delta())) // the same again
	note(lines, nil)
	return all
}
