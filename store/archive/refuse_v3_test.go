package archive_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// sampleOfVersion3 is a small file with what came with version 3:
//
//	2  runtime a, with labels
//	3  an input of it, with key "b"
//	4  the key "k", that is kept
//	5  runtime d, which was brought back, and begins after sequence 7
//	6  the tombstone of b, without a sequence
//	7  the tombstone of c
//	8  the key "x" of it
//	9  the key "y" of it
func sampleOfVersion3(t testing.TB) []byte {
	s := &state.State{Tombstones: store.Keep{Last: 9}, Retention: store.Retention{Keys: store.Keep{Last: 9}}, Now: store.TimeOf(time.Unix(1773331026, 0))}
	keyed := func(n byte, key string) store.InputState {
		i := store.NewInputState(store.InputID{n}, s.Now)
		i.IdempotencyKey = &key
		return i
	}
	commit := func(then ...batch.Write) {
		_, err := ops.Run(s, ops.Commit{Batch: batch.Batch{Then: then}})
		require.NoError(t, err)
	}
	commit(
		batch.PutInputState{RuntimeID: "a", State: keyed(1, "k")}, batch.PutInputState{RuntimeID: "a", State: keyed(2, "b")},
		batch.PutLabels{RuntimeID: "a", Labels: map[string]string{"team": "a", "zone": ""}},
		batch.PutRuntimeState{RuntimeID: "b", State: store.RuntimeIdle},
		batch.PutInputState{RuntimeID: "c", State: keyed(1, "x")}, batch.PutInputState{RuntimeID: "c", State: keyed(2, "y")},
	)
	for _, id := range []store.RuntimeID{"c", "d"} {
		_, err := ops.Run(s, ops.AtomicApply{RuntimeID: id, Commit: store.BoundaryApply{Receipt: store.RunBoundaryReceipt{Boundary: store.Immediate, Sequence: 7}}})
		require.NoError(t, err)
	}
	s.Now = store.TimeOf(time.Unix(1773331027, 0))
	commit(batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{1}}, batch.DeleteRuntime{RuntimeID: "d"})
	commit(batch.DeleteRuntime{RuntimeID: "b"}, batch.DeleteRuntime{RuntimeID: "c"}, batch.ReviveRuntime{RuntimeID: "d"})
	return write(t, s)
}

// labelsOf are so many labels.
func labelsOf(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"%02d":""`, i))
	}
	return strings.Join(all, ",")
}

// A file whose checks are right is refused for what is wrong in it, and all that is taken
// is written again as it was.
func TestEveryRuleOfVersion3IsChecked(t *testing.T) {
	file := sampleOfVersion3(t)
	require.Equal(t, string(file), string(write(t, read(t, file))))
	const labels, made = `"labels":{"team":"a","zone":""}`, `"made":"2026-03-12T15:57:06Z"`
	long := strings.Repeat("x", store.MaxLabelBytes+1)
	checkRules(t, file, []alteration{
		{1, `"keys":1`, `"keys":2`, 1, "the header's counts are not those of the lines"},
		{1, `,"keys":1`, `,"keys":0`, 1, "not spelled as it is written"},
		{1, `"tombstones":2`, `"tombstones":1`, 7, `not a line of type "end"`},
		{1, `"tombstones":2`, `"tombstones":18446744073709551615`, 10, `not a line of type "tombstone"`},
		{1, `"version":3`, `"version":2`, 1, "not spelled as it is written"},
		{1, `"revision":5`, `"revision":4`, 5, "the version is not one of the revisions"},

		{2, labels, `"labels":{}`, 2, "not spelled as it is written"},
		{2, labels, `"labels":null`, 2, "not spelled as it is written"},
		{2, labels, `"labels":{"zone":"","team":"a"}`, 2, "not spelled as it is written"},
		{2, labels, `"labels":{"team":"b","team":"a","zone":""}`, 2, "not spelled as it is written"},
		{2, labels, `"labels":{"team":1}`, 2, "is not what belongs there"},
		{2, labels, `"labels":{"":"a"}`, 2, "labels: a key is empty"},
		{2, labels, `"labels":{"a":"` + long + `"}`, 2, "labels: a key or a value has more than 128 bytes"},
		{2, labels, `"labels":{"` + long + `":""}`, 2, "labels: a key or a value has more than 128 bytes"},
		{2, labels, `"labels":{` + labelsOf(store.MaxLabels+1) + `}`, 2, "labels: more than 16"},
		{2, made, `"made":"2016-12-31T23:59:60Z"`, 2, "a time that is a leap second"},
		{2, made, `"made":"1969-12-31T23:59:59Z"`, 2, "none from 1970 to 2262"},
		{2, made, `"made":"2262-04-12T00:00:00Z"`, 2, "none from 1970 to 2262"},
		{2, made, `"made":"1970-01-01T00:00:00Z"`, 2, "not spelled as it is written"},
		{2, made, `"made":"2026-03-12T15:57:06.000Z"`, 2, "not spelled as it is written"},
		{2, `"active":"2026`, `"active":"3026`, 2, "none from 1970 to 2262"},
		{2, `"keys":1`, `"keys":2`, 5, `not a line of type "key"`},
		{2, `,"keys":1`, ``, 4, `not a line of type "runtime"`},
		{4, `"key":"k"`, `"key":"b"`, 4, "there is one with its id already"},
		{4, `"key":"k"`, `"key":"\ud800"`, 4, "malformed JSON"},
		{4, `"since":"2026`, `"since":"1926`, 4, "none from 1970 to 2262"},
		{4, `"since"`, `"more":1,"since"`, 4, "not spelled as it is written"},
		{5, `"after_sequence":7`, `"after_sequence":-7`, 5, "a JSON number is not what belongs there"},
		{5, `"after_sequence":7`, `"after_sequence":null`, 5, "not spelled as it is written"},
		{5, `"after_sequence":7`, `"after_sequence":18446744073709551616`, 5, "a JSON number is not what belongs there"},

		{6, `"runtime_id":"b"`, `"runtime_id":"a"`, 6, "there is one with its id already"},
		{7, `"runtime_id":"c"`, `"runtime_id":"b"`, 7, "there is one with its id already"},
		{7, `"runtime_id":"c"`, `"runtime_id":"` + "\xff" + `"`, 7, "malformed JSON"},
		{6, `"version":5`, `"version":6`, 6, "the version is not one of the revisions"},
		{6, `"version":5`, `"version":0`, 6, "the version is not one of the revisions"},
		{6, `"deleted":"2026`, `"deleted":"2526`, 6, "none from 1970 to 2262"},
		{6, `"deleted"`, `"highest_sequence":7,"deleted"`, 6, "not spelled as it is written"},
		{7, `"highest_sequence":7`, `"highest_sequence":07`, 7, "malformed JSON"},
		{7, `"keys":2`, `"keys":3`, 10, `not a line of type "key"`},
		{7, `"keys":2`, `"keys":1`, 9, `not a line of type "end"`},
		{9, `"key":"y"`, `"key":"x"`, 7, "there is one with its id already"},
	})
}

// What stands in the lines of version 2 may not say what came with version 3.
func TestAFileOfVersion2HasNothingOfVersion3(t *testing.T) {
	lines := unseal(fileOf(t, 2))
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, `{"type":"runtime"`) })
	for _, c := range []alteration{
		{line: at + 1, old: `,"versions":`, new: `,"made":"2026-03-12T15:57:06Z","versions":`},
		{line: at + 1, old: `,"versions":`, new: `,"active":"2026-03-12T15:57:06Z","versions":`},
		{line: at + 1, old: `,"versions":`, new: `,"labels":{"a":""},"versions":`},
		{line: at + 1, old: `,"versions":`, new: `,"after_sequence":0,"versions":`},
		{line: 1, old: `,"sessions":`, new: `,"keys":1,"sessions":`},
	} {
		altered := slices.Clone(lines)
		require.Contains(t, altered[c.line-1], c.old)
		altered[c.line-1] = strings.Replace(altered[c.line-1], c.old, c.new, 1)
		refusal := refused(t, sealAll(altered))
		assert.Equal(t, c.line, refusal.Line, c.new)
		assert.ErrorContains(t, refusal, "not spelled as it is written", c.new)
	}
	for _, member := range []string{`,"keys":1`, `,"tombstones":1`} {
		altered := slices.Clone(lines)
		altered[0] += member
		assert.ErrorContains(t, refused(t, sealAll(altered)), "line 1: not spelled as it is written", member)
	}
	altered := slices.Clone(lines)
	i := slices.IndexFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, `{"type":"runtime"`) && strings.HasSuffix(line, `"dropped_runs":0`)
	})
	altered[i] += `,"keys":1`
	assert.ErrorContains(t, refused(t, sealAll(altered)), fmt.Sprintf("line %d: not spelled as it is written", i+1))
}

// A runtime that was brought back has runs, and dropped ones, whose sequences are read as
// they are: the floor is of new ones.
func TestRunsOfARuntimeThatWasBroughtBack(t *testing.T) {
	s := read(t, sampleOfVersion3(t))
	for run := range byte(3) {
		_, err := ops.Run(s, ops.CommitSessionBoundary{RuntimeID: "d", Commit: store.BoundaryCommit{
			Session: store.SessionDelta{Format: store.FormatOpaque}, RunID: store.RunID{run}, Boundary: store.RunStart,
		}})
		require.NoError(t, err)
	}
	_, err := ops.Run(s, ops.Prune{RuntimeID: "d", Keep: store.Retention{Runs: 2}})
	require.NoError(t, err)
	again := read(t, write(t, s))
	for run := range byte(4) {
		next, err := again.NextSequence("d", store.RunID{run})
		require.NoError(t, err)
		want := uint64(9)
		if run == 3 {
			want = 8
		}
		assert.Equal(t, want, next, "run %d", run)
	}
	assert.Equal(t, write(t, s), write(t, again))
}
