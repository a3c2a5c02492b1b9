package storetest

import (
	"errors"
	"math"
	"runtime"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

func revisionsCountChanges(tr *trial) {
	require.Zero(tr, tr.write().Revision, "nothing has changed yet")
	revision := uint64(0)
	for _, w := range writes() {
		for _, id := range []store.RuntimeID{"a", "b"} {
			require.NoError(tr, w.do(tr.Context(), tr.store, id, 1), w.name)
			revision++
			require.Equal(tr, revision, tr.version(id), "the version after %s", w.name)
			require.Equal(tr, revision, tr.write().Revision, "a batch without writes is no change")
		}
	}
	tr.allBadWrites("a", tr.Context())
	tr.allDone(tr.allReads("a", tr.Context()), "")
	tr.allDone(tr.allReads("c", tr.Context()), "")
	result := tr.write(deleting("c"), batch.DeleteInputState{RuntimeID: "a", InputID: store.InputID{9}}, batch.DeleteInputState{RuntimeID: "c"})
	assert.Equal(tr, revision, result.Revision, "there was nothing to delete")
	assert.Equal(tr, []uint64{revision - 1, revision, 0}, []uint64{tr.version("a"), tr.version("b"), tr.version("c")})

	result = tr.write(setting("a", store.RuntimeRunning), putting("a", accepted(1)), putting("c", accepted(1)), deleting("d"))
	assert.Equal(tr, revision+1, result.Revision, "one revision for the batch")
	assert.Equal(tr, []uint64{revision + 1, revision, revision + 1}, []uint64{tr.version("a"), tr.version("b"), tr.version("c")})
	result = tr.write(deleting("c"))
	assert.Equal(tr, revision+2, result.Revision, "a deletion is a change")
	assert.Zero(tr, tr.version("c"))
}

func versionsDoNotReturn(tr *trial) {
	last := uint64(0)
	for range 5 {
		for _, w := range writes() {
			require.NoError(tr, w.do(tr.Context(), tr.store, "a", 1), w.name)
			version := tr.version("a")
			require.Greater(tr, version, last, "the version after %s", w.name)
			last = version
			tr.write(deleting("a"))
			assert.Zero(tr, tr.conflictOf(batch.Batch{If: []batch.Condition{batch.VersionIs{RuntimeID: "a", Version: version}}}).Version)
		}
		last = tr.write(setting("a", store.RuntimeIdle), deleting("a"), setting("a", store.RuntimeIdle)).Revision
		assert.Equal(tr, last, tr.version("a"), "deleted and made again in one batch")
	}
}

func countersLoseNothing(tr *trial) {
	n := tr.countTogether(func(version uint64, count uint32) (uint64, error) {
		result, err := tr.tryBatch(batch.Batch{
			If:   []batch.Condition{batch.VersionIs{RuntimeID: "a", Version: version}},
			Then: []batch.Write{putting("a", attempted(1, count))},
		})
		return result.Revision, err
	})
	assert.EqualValues(tr, n+1, tr.version("a"), "each update, and the first write, is one revision")
}

// countTogether lets many callers count up the attempts of an input, with a write under the
// condition that the runtime has a version. The write returns the new version, 0 if it
// does not know. Each caller learns the version from a conflict, and then reads the counter.
// If the version still stands when it writes, so does the counter that it read. It returns
// how many updates there were.
func (tr *trial) countTogether(write func(version uint64, count uint32) (uint64, error)) int {
	tr.Helper()
	tr.persist("a", attempted(1, 0))
	n := repeats(40)
	err := together(callers, func(int) error {
		version, count := uint64(math.MaxUint64), uint32(0)
		for done := 0; done < n; runtime.Gosched() {
			next, err := write(version, count+1)
			conflict, conflicts := errors.AsType[*batch.ConflictError](err)
			switch {
			case err == nil:
				version, count, done = next, count+1, done+1
			case !conflicts:
				return err
			default:
				state, _, err := tr.store.LoadInputState(tr.Context(), "a", store.InputID{1})
				if err != nil {
					return err
				}
				version, count = conflict.Version, state.AttemptCount
			}
		}
		return nil
	})
	require.NoError(tr, err)
	assert.EqualValues(tr, callers*n, tr.input("a", store.InputID{1}).AttemptCount)
	return callers * n
}
