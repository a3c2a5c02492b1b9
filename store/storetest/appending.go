package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

func appending() []promise {
	return []promise{
		{words: "an addition goes to the end of what stands", try: additionsGoToTheEnd},
		{words: "no session counts as an empty one", try: noSessionIsAnEmptyOne},
		{words: "an addition to a session of another format is refused, and changes nothing", try: additionsKeepTheFormat},
		{words: "an addition that is not of the format is refused, and changes nothing", try: badAdditionsAreRefused},
		{words: "every write copies the addition that it is given", try: additionsAreCopied},
		{words: "the additions of many callers are all there, each once", try: additionsAreAllThere},
		{words: "additions and whole texts take effect one after the other", try: additionsAndWholeTexts},
		{words: "additions, whole texts and deletions take effect one after the other", try: needs[batch.Committer](additionsAndDeletions)},
		{words: "a write of a batch adds to what those before it have left", try: needs[batch.Committer](additionsInABatch)},
		{words: "an addition under a condition that does not hold changes nothing", try: needs[batch.Committer](additionsUnderConditions)},
		{words: "of callers that add to the same digest one succeeds", try: needs[batch.Committer](additionsToADigest)},
		{words: "an addition whose context ends is there whole, or not at all", try: additionsAreCancelledWhole},
		{words: "an addition counts towards the limit of a session", try: additionsAreLimited},
	}
}

func adding(format store.Format, text string, messages uint64) store.SessionDelta {
	d := store.SessionDelta{SessionSnapshot: []byte(text), Format: format, Append: true}
	if format == store.FormatOpaque {
		d.Messages = messages
	}
	return d
}

// lineBy returns one line that names a caller and its turn, of some size.
func lineBy(caller, turn, size int) string {
	return fmt.Sprintf(`{"by":%d,"turn":%d,"text":"%s"}`+"\n", caller, turn, strings.Repeat("x", size))
}

// textBy returns a line of which most are short. One caller's lines are larger than
// 64 KiB.
func textBy(caller, turn int) string {
	return lineBy(caller, turn, []int{70_000, 0, 20_000, 100, 1000, 1, 5000, 10}[caller%8])
}

func additionsGoToTheEnd(tr *trial) {
	for _, format := range []store.Format{store.FormatLines, store.FormatOpaque} {
		for _, w := range tr.sessionWays() {
			id := store.RuntimeID(w.name + format.String())
			want := content{name: format.String(), format: format}.added("", 0)
			tr.put(w, id, want.delta(), want)
			for i, size := range []int{1, 0, 100, 6 << 10, 16 << 10, 1, 16<<10 - 40, 64 << 10, 64<<10 + 1, 0, 3, 200_000, 7} {
				text := lineBy(i, 0, size)
				if format == store.FormatOpaque {
					text = strings.Repeat("\xff", size)
				}
				want = want.added(text, uint64(i*i))
				tr.put(w, id, adding(format, text, want.count), want)
				tr.holds(id, want, fmt.Sprintf("%s, addition %d", w.name, i))
			}
			nothing := want.added("", math.MaxUint64)
			tr.put(w, id, adding(format, "", nothing.count), nothing)
			tr.holds(id, nothing, w.name+" of nothing")
		}
	}
}

func noSessionIsAnEmptyOne(tr *trial) {
	for _, w := range tr.sessionWays() {
		for i, c := range contents() {
			if !c.format.Grows() {
				continue
			}
			none, there := store.RuntimeID(fmt.Sprint(w.name, i)), store.RuntimeID(fmt.Sprint(w.name, i, " is there"))
			tr.setRuntime(there, store.RuntimeIdle)
			for _, id := range []store.RuntimeID{none, there} {
				tr.put(w, id, adding(c.format, c.text, c.count), c)
				tr.holds(id, c, w.name+" to no session")
			}
		}
	}
}

func additionsKeepTheFormat(tr *trial) {
	all := []content{
		{name: "as it came", text: "{}\n"}, {name: "as it came, empty"}, meerkatOf(1, 1),
		linesOf("{}\n"), linesOf(""), opaqueOf("{}\n", 1), opaqueOf("", 0),
	}
	for _, stands := range all {
		tr.put(tr.sessionWays()[1], "a", stands.delta(), stands)
		before := tr.view("a")
		for _, w := range tr.sessionWays() {
			for _, format := range []store.Format{store.FormatLines, store.FormatOpaque} {
				if format == stands.format {
					continue
				}
				for _, text := range []string{"", "{}\n", lineBy(1, 1, 100_000)} {
					_, err := w.do(tr.Context(), "a", adding(format, text, 2))
					tr.refused(fmt.Sprintf("%s of %v to %s", w.name, format, stands.name), err, store.ErrInvalidValue)
				}
			}
		}
		require.Equal(tr, before, tr.view("a"))
		tr.holds("a", stands, "after additions of other formats")
	}
}

func badAdditionsAreRefused(tr *trial) {
	stands := linesOf("{}\n[1]\n")
	tr.put(tr.sessionWays()[0], "a", stands.delta(), stands)
	before := tr.view("a")
	for _, w := range tr.sessionWays() {
		for _, bad := range badLines() {
			for _, id := range []store.RuntimeID{"a", "none"} {
				_, err := w.do(tr.Context(), id, adding(store.FormatLines, bad.text, 0))
				tr.isInvalid(w.name+" of an addition", err, bad.text, bad.line)
			}
		}
	}
	assert.Equal(tr, before, tr.view("a"))
	assert.Equal(tr, view{}, tr.view("none"))
	tr.holds("a", stands, "after additions that are no lines")
}

func additionsAreCopied(tr *trial) {
	for _, w := range tr.sessionWays() {
		for _, c := range contents() {
			if !c.format.Grows() || c.text == "" {
				continue
			}
			id, want := store.RuntimeID(w.name+c.name), content{format: c.format}
			for range 4 {
				d := adding(c.format, c.text, c.count)
				want = want.added(c.text, c.count)
				tr.put(w, id, d, want)
				require.Equal(tr, c.text, string(d.SessionSnapshot), "%s changed its argument", w.name)
				clear(d.SessionSnapshot)
				tr.holds(id, want, w.name+", whose argument was changed")
			}
		}
	}
}

func additionsAreAllThere(tr *trial) {
	for _, format := range []store.Format{store.FormatLines, store.FormatOpaque} {
		tr.open()
		var s steps
		n := repeats(40)
		require.NoError(tr, inTurns(n, func(caller, turn int) error {
			return tr.commitStep(tr.Context(), &s, fmt.Sprintf("caller %d, turn %d", caller, turn), adding(format, textBy(caller, turn), uint64(turn)))
		}))
		require.Len(tr, s.all, callers*n)
		tr.tookTurns(&s, "a")
	}
}

func additionsAndWholeTexts(tr *trial) {
	var s steps
	require.NoError(tr, inTurns(repeats(60), func(caller, turn int) error {
		d := adding(store.FormatLines, textBy(caller, turn), 0)
		d.Append = (caller+turn)%5 != 0
		return tr.commitStep(tr.Context(), &s, fmt.Sprintf("caller %d, turn %d, append %v", caller, turn, d.Append), d)
	}))
	tr.tookTurns(&s, "a")
}

// The revisions of batches tell which came first.
func additionsAndDeletions(tr *trial) {
	var s steps
	require.NoError(tr, inTurns(repeats(60), func(caller, turn int) error {
		one := step{name: fmt.Sprintf("caller %d, turn %d", caller, turn)}
		var b batch.Batch
		kind := (caller + 3*turn) % 9
		if one.deletes = kind <= 1; one.deletes {
			b.Then = append(b.Then, deleting("a"))
		}
		for i := range []int{0, 1, 1, 1, 2, 3, 1, 1, 1}[kind] {
			d := adding(store.FormatLines, textBy(caller+i, turn), 0)
			d.Append = kind != 2
			c := committing(store.RunID{byte(caller)})
			c.Session = d
			b.Then, one.changes = append(b.Then, bounding("a", c)), append(one.changes, d)
		}
		b.Then = append(b.Then, setting("a", store.RuntimeIdle)) // so it always changes something
		result, err := tr.tryBatch(b)
		if one.at, one.minted = result.Revision, result.Receipts; err == nil {
			s.note(one)
		}
		return err
	}))
	tr.tookTurns(&s, "a")
}

func additionsInABatch(tr *trial) {
	line := func(n int) string { return lineBy(n, n, n) }
	bound := func(d store.SessionDelta) batch.Write {
		c := committing(store.RunID{1})
		c.Session = d
		return bounding("a", c)
	}
	add := func(n int) batch.Write { return bound(adding(store.FormatLines, line(n), 0)) }
	tr.write(putSession("a", linesOf(line(0)).delta()))
	for i, one := range []struct {
		writes []batch.Write
		want   []content // of each receipt, and of the session
	}{
		{[]batch.Write{add(1), add(70_000)}, []content{linesOf(line(0) + line(1)), linesOf(line(0) + line(1) + line(70_000))}},
		{[]batch.Write{deleting("a"), add(2), add(3)}, []content{linesOf(line(2)), linesOf(line(2) + line(3))}},
		{[]batch.Write{putSession("a", linesOf(line(4)).delta()), putSession("a", adding(store.FormatLines, line(5), 0)), add(6)}, []content{linesOf(line(4) + line(5) + line(6))}},
		{[]batch.Write{add(7), deleting("a"), add(8), deleting("a"), setting("a", store.RuntimeIdle), add(9)}, []content{linesOf(line(4) + line(5) + line(6) + line(7)), linesOf(line(8)), linesOf(line(9))}},
		{
			[]batch.Write{add(1), bound(opaqueOf("x", 1).delta()), bound(adding(store.FormatOpaque, "y", 9)), putSession("a", linesOf("").delta()), add(2)},
			[]content{linesOf(line(9) + line(1)), opaqueOf("x", 1), opaqueOf("xy", 9), linesOf(line(2))},
		},
		{[]batch.Write{putSession("b", linesOf(line(1)).delta()), add(3), putSession("b", adding(store.FormatLines, line(2), 0)), add(4)}, []content{linesOf(line(2) + line(3)), linesOf(line(2) + line(3) + line(4))}},
	} {
		result := tr.write(one.writes...)
		require.Len(tr, result.Receipts, len(one.want))
		for n, want := range one.want {
			tr.says(result.Receipts[n], want, fmt.Sprintf("batch %d, receipt %d", i, n))
		}
		tr.holds("a", one.want[len(one.want)-1], fmt.Sprintf("batch %d", i))
	}
	tr.holds("b", linesOf(line(1)+line(2)), "another runtime in a batch")

	before := tr.everything()
	for _, refused := range [][]batch.Write{
		{add(1), putSession("a", opaqueOf("", 0).delta()), add(2)},
		{add(1), deleting("a"), bound(meerkatOf(1, 1).delta()), add(2)},
	} {
		_, err := tr.tryBatch(batch.Batch{Then: refused})
		tr.refused("a batch that adds to another format", err, store.ErrInvalidValue)
		require.Equal(tr, before, tr.everything())
	}
}

func additionsUnderConditions(tr *trial) {
	stands := linesOf("{}\n")
	tr.put(tr.sessionWays()[1], "a", stands.delta(), stands)
	before := tr.everything()
	add := []batch.Write{putSession("a", adding(store.FormatLines, lineBy(1, 1, 70_000), 0)), putSession("b", adding(store.FormatLines, "[]\n", 0))}
	for _, c := range []batch.Condition{
		batch.SessionDigestIs{RuntimeID: "a"}, batch.SessionDigestIs{RuntimeID: "a", Digest: digestOf("{}")}, batch.VersionIs{RuntimeID: "a", Version: 77},
		batch.RuntimeExists{RuntimeID: "b"}, batch.SessionDigestIs{RuntimeID: "b", Digest: digestOf("")},
	} {
		_ = tr.conflictOf(batch.Batch{If: []batch.Condition{c}, Then: add})
		require.Equal(tr, before, tr.everything(), "after a conflict with %+v", c)
	}
	holds := []batch.Condition{batch.SessionDigestIs{RuntimeID: "a", Digest: stands.digest}, batch.VersionIs{RuntimeID: "a", Version: tr.version("a")}, batch.SessionDigestIs{RuntimeID: "b"}}
	_, err := tr.tryBatch(batch.Batch{If: holds, Then: add})
	require.NoError(tr, err)
	tr.holds("a", stands.added(lineBy(1, 1, 70_000), 0), "under conditions that hold")
	tr.holds("b", linesOf("[]\n"), "under conditions that hold")
}

func additionsToADigest(tr *trial) {
	stands := linesOf("{}\n")
	tr.put(tr.sessionWays()[1], "a", stands.delta(), stands)
	var s steps
	require.NoError(tr, inTurns(repeats(40), func(caller, turn int) error {
		now, _, err := tr.store.LoadSessionSnapshot(tr.Context(), "a")
		if err != nil {
			return err
		}
		c := committing(store.RunID{1})
		c.Session = adding(store.FormatLines, lineBy(caller, turn, caller), 0)
		result, err := tr.tryBatch(batch.Batch{
			If:   []batch.Condition{batch.SessionDigestIs{RuntimeID: "a", Digest: digestOf(string(now))}},
			Then: []batch.Write{bounding("a", c)},
		})
		if err != nil {
			return mistaken(err, store.ErrConflict)
		}
		whole := linesOf(string(now)).added(string(c.Session.SessionSnapshot), 0).delta()
		s.note(step{result.Revision, fmt.Sprintf("caller %d, turn %d", caller, turn), false, []store.SessionDelta{whole}, result.Receipts})
		return nil
	}))
	tr.tookTurns(&s, "a")
	last := grown{}
	last.change(s.all[len(s.all)-1].changes[0])
	assert.EqualValues(tr, len(s.all)+1, last.count, "each that succeeded added one line")
}

func additionsAreCancelledWhole(tr *trial) {
	var s steps
	require.NoError(tr, inTurns(repeats(80), func(caller, turn int) error {
		ctx, cancel := context.WithCancel(tr.Context())
		var wg sync.WaitGroup
		if turn%4 != 0 {
			wg.Go(func() {
				for range rand.IntN(60) {
					runtime.Gosched()
				}
				cancel()
			})
		}
		err := tr.commitStep(ctx, &s, fmt.Sprintf("caller %d, turn %d", caller, turn), adding(store.FormatLines, textBy(caller, turn), 0))
		cancel()
		wg.Wait()
		if err != nil {
			return mistaken(err, context.Canceled)
		}
		return nil
	}))
	tr.tookTurns(&s, "a")
	last := s.all[len(s.all)-1]
	assert.EqualValues(tr, len(s.all)-1, last.at, "what was cancelled spends no sequence")
}

func additionsAreLimited(tr *trial) {
	tr.openWith(loopstore.Options{Limits: store.Limits{SnapshotBytes: 100}})
	for _, w := range tr.sessionWays() {
		id := store.RuntimeID(w.name)
		want := opaqueOf("", 0)
		for i := range 10 { // to 90, and then to 100
			want = want.added("0123456789", uint64(i))
			tr.put(w, id, adding(store.FormatOpaque, "0123456789", want.count), want)
			if i == 8 {
				tr.overLimit(w, id, adding(store.FormatOpaque, "0123456789x", 1), 101)
			}
		}
		tr.put(w, id, adding(store.FormatOpaque, "", want.count), want)
		tr.overLimit(w, id, adding(store.FormatOpaque, "x", 1), 101)
		tr.overLimit(w, id, opaqueOf(strings.Repeat("x", 102), 1).delta(), 102)
		tr.overLimit(w, "none", adding(store.FormatOpaque, strings.Repeat("x", 103), 1), 103)
		tr.holds(id, want, "after additions beyond the limit")
	}
}

func (tr *trial) overLimit(w sessionWay, id store.RuntimeID, d store.SessionDelta, asked int64) {
	tr.Helper()
	before := tr.view(id)
	_, err := w.do(tr.Context(), id, d)
	tr.refused(w.name, err, store.ErrLimit)
	limit, ok := errors.AsType[*store.LimitError](err)
	require.True(tr, ok, "the error must wrap a *store.LimitError, and is %v", err)
	assert.Equal(tr, store.LimitError{Limit: "snapshot_bytes", Most: 100, Asked: asked}, *limit)
	assert.Equal(tr, before, tr.view(id))
}
