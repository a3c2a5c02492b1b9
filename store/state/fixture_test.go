package state_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
)

// records reads a stream of records: of each the length of its key, an unsigned
// varint, the key, the length of its value, and the value.
func records(t testing.TB, stream []byte) (all []journal.Change) {
	t.Helper()
	text := func() []byte {
		size, n := binary.Uvarint(stream)
		require.Positive(t, n)
		require.LessOrEqual(t, size, uint64(len(stream)-n))
		taken := stream[n:][:size]
		stream = stream[n:][size:]
		return taken
	}
	for len(stream) > 0 {
		all = append(all, journal.Change{Key: text(), Value: text()})
	}
	return all
}

func replay(all []journal.Change) (*state.State, error) {
	s := new(state.State)
	r := state.NewReplay(s)
	for _, c := range all {
		if err := r.Put(c); err != nil {
			return nil, err
		}
	}
	return s, r.Done()
}

// recordsOfVersion1 are those of package fixture's content. The code of record
// version 1 has written them, and they are never written again.
func recordsOfVersion1(t testing.TB) []journal.Change {
	t.Helper()
	stream, err := os.ReadFile("testdata/records-v1.bin")
	require.NoError(t, err)
	return records(t, stream)
}

// A journal of version 1 holds all that was put into it, and it goes on as if this
// version had written it. So does one that this version has written.
func TestDurableRecordsOfEachVersion(t *testing.T) {
	for name, all := range map[string][]journal.Change{
		"version 1":    recordsOfVersion1(t),
		"this version": slices.Collect(fixture.New(t).Records()),
	} {
		t.Run(name, func(t *testing.T) {
			held, err := replay(all)
			require.NoError(t, err)
			want, got := fixture.OnState(t, fixture.New(t)), fixture.OnState(t, held)
			fixture.Compare(t, fixture.At(want, fixture.AllPlaces), fixture.At(got, fixture.AllPlaces))

			for n := range 2 { // what goes on is replayed too
				fixture.GoOn(want, n)
				fixture.GoOn(got, n)
				fixture.Compare(t, fixture.At(want, fixture.RuntimePlaces), fixture.At(got, fixture.RuntimePlaces))
				again, err := replay(slices.Collect(held.Records()))
				require.NoError(t, err)
				held, got = again, fixture.OnState(t, again)
				fixture.Compare(t, fixture.At(want, fixture.RuntimePlaces), fixture.At(got, fixture.RuntimePlaces))
			}
		})
	}
}

// What changes in a State that version 1's records made is all that the journal has
// to be told: with its changes, the old records say what is held now.
func TestDurableChangesOfRecordsOfVersion1(t *testing.T) {
	all := recordsOfVersion1(t)
	held, err := replay(all)
	require.NoError(t, err)
	k := kept{}
	k.apply(all)
	want := fixture.OnState(t, fixture.New(t))
	for n := range 2 {
		held.Begin()
		fixture.GoOn(fixture.OnState(t, held), n)
		k.apply(held.Changes())
		held.Commit()
		fixture.GoOn(want, n)
		again, err := k.replay()
		require.NoError(t, err)
		fixture.Compare(t, fixture.At(want, fixture.RuntimePlaces), fixture.At(fixture.OnState(t, again), fixture.RuntimePlaces))
	}
}

// What stands in the way of version 1 goes when it is replaced, or its runtime deleted,
// with all of its records.
func TestDurableSnapshotsOfVersion1AreReplaced(t *testing.T) {
	const snapshot, chunk = 5, 6 // in the tenth byte of a key
	left := func(k kept) (n int) {
		for key := range k {
			if len(key) >= 10 && (key[9] == snapshot || key[9] == chunk) {
				n++
			}
		}
		return n
	}
	for name, change := range map[string]func(s *state.State, id store.RuntimeID){
		"replaced": func(s *state.State, id store.RuntimeID) {
			one := new(store.SnapshotOf([]byte("1")))
			s.PutSnapshot(id, one, nil)
			for n := range 256 {
				if key := (store.SessionID{0: 3, 15: byte(n)}); s.Session(key) != nil {
					s.PutSession(id, key, one)
				}
			}
		},
		"deleted": func(s *state.State, id store.RuntimeID) { s.DeleteRuntime(id) },
	} {
		t.Run(name, func(t *testing.T) {
			held, err := replay(recordsOfVersion1(t))
			require.NoError(t, err)
			k := kept{}
			k.apply(recordsOfVersion1(t))
			require.Positive(t, left(k))
			held.Begin()
			for _, rt := range held.Runtimes(state.Paging{}).Items {
				change(held, rt.RuntimeID)
			}
			held.Settle()
			k.apply(held.Changes())
			held.Commit()
			assert.Zero(t, left(k))
			again, err := k.replay()
			require.NoError(t, err)
			assert.Equal(t, keptOf(held), keptOf(again))
		})
	}
}

// Records of version 1 are still checked: none can be altered.
func TestDurableRecordsOfVersion1AreChecked(t *testing.T) {
	all := recordsOfVersion1(t)
	for i, c := range all {
		at := []int{0, 1, len(c.Value) / 2, len(c.Value) - 1}[i%4]
		altered := slices.Clone(all[:i+1])
		altered[i].Value = bytes.Clone(c.Value)
		altered[i].Value[at] ^= 0x10
		_, err := replay(altered)
		assert.ErrorIs(t, err, journal.ErrCorrupt, "byte %d of the value of key %x", at, c.Key)
	}
}
