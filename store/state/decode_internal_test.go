package state

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// manyRecords are records of several batches, among them one that is larger than a batch.
func manyRecords() []journal.Change {
	s := new(State)
	for i := range 10 {
		id := store.RuntimeID(rune('a' + i))
		for n := range 3 * batchRecords / 10 {
			state := store.NewInputState(store.InputID{byte(i), byte(n >> 8), byte(n)}, store.Time{})
			state.PersistedInput = fmt.Appendf(nil, `"%0*d"`, n%100, n)
			if i == 5 && n == 10 {
				state.PersistedInput = []byte(`"` + strings.Repeat("x", batchBytes) + `"`)
			}
			s.PutInputState(id, &state)
			s.PutReceipt(id, NewReceipt(&store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: uint64(n)}))
		}
		s.PutSnapshot(id, new(lines(100<<10)), nil)
		s.Settle()
	}
	return slices.Collect(s.Records())
}

// All batches come together in the order of their records, in a synctest bubble too.
func TestReplayOfManyBatches(t *testing.T) {
	records := manyRecords()
	require.Greater(t, len(records), 6*batchRecords)
	synctest.Test(t, func(t *testing.T) {
		s := new(State)
		r := NewReplay(s)
		for _, c := range records {
			emitted := journal.Change{Key: bytes.Clone(c.Key), Value: bytes.Clone(c.Value)}
			require.NoError(t, r.Put(emitted))
			clear(emitted.Key) // it keeps none of them
			clear(emitted.Value)
		}
		require.NoError(t, r.Done())
		r.Close()
		require.Equal(t, len(records), r.Records())
		require.Equal(t, records, slices.Collect(s.Records()))
	})
}

// The error is that of the first record that cannot be, wherever that and a later one
// stand, and nothing goes on after it.
func TestReplayNamesTheFirstRecordThatCannotBe(t *testing.T) {
	records := manyRecords()
	damage := map[string]func(c *journal.Change){
		"its sum":   func(c *journal.Change) { c.Value[0] ^= 1 },
		"its value": func(c *journal.Change) { *c = seal(c.Key, []byte{0xff}) },
		"deleted":   func(c *journal.Change) { c.Delete = true },
	}
	for what, alter := range damage {
		for first := 0; first < len(records); first += 311 {
			for _, second := range []int{first + 1, first + batchRecords, len(records) - 1} {
				if second <= first || second >= len(records) {
					continue
				}
				altered := slices.Clone(records)
				for _, at := range []int{first, second} {
					altered[at].Value = bytes.Clone(altered[at].Value)
					alter(&altered[at])
				}
				err := putAll(t, altered)
				require.ErrorIs(t, err, journal.ErrCorrupt, "%s %d", what, first)
				require.ErrorContains(t, err, fmt.Sprintf("at key %x: ", records[first].Key), "%s %d %d", what, first, second)
			}
		}
	}
	goleak.VerifyNone(t)
}

// putAll puts records until there is an error, which stays.
func putAll(t *testing.T, records []journal.Change) error {
	t.Helper()
	r := NewReplay(new(State))
	for _, c := range records {
		if err := r.Put(c); err != nil {
			require.Empty(t, r.decoding, "nothing goes on")
			require.Equal(t, err, r.Put(c))
			require.Equal(t, err, r.Done())
			return err
		}
	}
	err := r.Done()
	require.Empty(t, r.decoding, "nothing goes on")
	return err
}

// Close waits for what is being decoded.
func TestReplayThatIsGivenUpLeavesNothing(t *testing.T) {
	records := manyRecords()
	alone := slices.IndexFunc(records, func(c journal.Change) bool { return len(c.Value) > batchBytes })
	records = records[:alone] // it is decoded by Put itself
	require.Greater(t, len(records), 3*batchRecords)
	for n := 0; n < len(records); n += batchRecords / 2 {
		r := NewReplay(new(State))
		for _, c := range records[:n] {
			require.NoError(t, r.Put(c))
		}
		decoding := slices.Clone(r.decoding)
		r.Close()
		r.Close()
		for _, b := range decoding {
			for i := range b.records {
				require.NotZero(t, b.records[i].version, "all of it is decoded, and nobody writes there any more")
			}
		}
	}
	goleak.VerifyNone(t)
}

// What a record says of others to come makes room for no more than a while.
func TestReplayMakesRoomForWhatIsLikely(t *testing.T) {
	const all = 1<<63 - 1
	assert.LessOrEqual(t, testing.AllocsPerRun(1, func() {
		r := NewReplay(new(State))
		head := appendText(appendNumbers(appendText(nil, "a"), 1), "")
		head = append(appendNumbers(head, all, all, all, all, all), 0, 0)
		root := seal(rootKey, appendNumbers(nil, 1, 1, all, all, 1, all, all))
		err := errors.Join(r.Put(root), r.Put(seal(keyOf(keyRuntime, 0, subHead), appendNumbers(head, 1, 1, 1))))
		require.NoError(t, err)
		require.ErrorIs(t, r.Done(), journal.ErrCorrupt)
	}), 3000.)
}
