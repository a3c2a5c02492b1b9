package state_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
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

// contentOf is what the records of a version hold.
func contentOf(version int) fixture.Content {
	return []fixture.Content{1: fixture.First, 2: fixture.All, 3: fixture.All, 4: fixture.Everything}[version]
}

// recordsOf are those of a content. The code of their version has written them, and they
// are never written again.
func recordsOf(t testing.TB, version int) []journal.Change {
	t.Helper()
	stream, err := os.ReadFile(fmt.Sprintf("testdata/records-v%d.bin", version))
	require.NoError(t, err)
	return records(t, stream)
}

func recordsOfVersion1(t testing.TB) []journal.Change { return recordsOf(t, 1) }

// A journal of each version holds all that was put into it, and it goes on as if this
// version had written it.
func TestDurableRecordsOfEachVersion(t *testing.T) {
	for version := 1; version <= state.RecordVersion; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			content := contentOf(version)
			held, err := replay(recordsOf(t, version))
			require.NoError(t, err)
			want, got := fixture.OnState(t, content.State(t)), fixture.OnState(t, held)
			content.Check(t, got)
			look := fixture.At
			if version >= 4 { // which has times, and the versions of inputs
				look = fixture.Precise
				assert.Equal(t, deletions(t, content, content.State(t)), deletions(t, content, held))
			}
			fixture.Compare(t, look(want, fixture.AllPlaces), look(got, fixture.AllPlaces))

			for n := range 2 { // what goes on is replayed too
				fixture.GoOn(want, n)
				fixture.GoOn(got, n)
				fixture.Compare(t, fixture.At(want, fixture.RuntimePlaces), fixture.At(got, fixture.RuntimePlaces))
				before := fixture.Precise(got, fixture.RuntimePlaces)
				again, err := replay(slices.Collect(held.Records()))
				require.NoError(t, err)
				held, got = again, fixture.OnState(t, again)
				fixture.Compare(t, before, fixture.Precise(got, fixture.RuntimePlaces))
			}
		})
	}
}

// deletions are those that the feed of changes remembers.
func deletions(t *testing.T, c fixture.Content, s *state.State) (all []string) {
	changes, err := s.ChangesAfter(c.Cursor(t), 1)
	require.NoError(t, err)
	for c := range changes.All() {
		if c.What.Has(state.RuntimeDeleted) {
			all = append(all, fmt.Sprintf("%q %d", c.RuntimeID, c.Version))
		}
	}
	require.NotEmpty(t, all)
	return all
}

// What this version writes is what it wrote when it was new: records that are read and
// written again are the same bytes. So no program of one version misreads another's.
func TestDurableRecordsAreWrittenAsTheyWere(t *testing.T) {
	const remedy = "the format of records has changed: raise recordVersion, keep reading what there is, " +
		"and add testdata/records-v%d.bin, as internal/fixture/testdata/README.md says"
	_, err := os.Stat(fmt.Sprintf("testdata/records-v%d.bin", state.RecordVersion))
	require.NoError(t, err, "there are no records of this version: "+remedy, state.RecordVersion)
	all := recordsOf(t, state.RecordVersion)
	held, err := replay(all)
	require.NoError(t, err, remedy, state.RecordVersion+1)
	again := slices.Collect(held.Records())
	for i := range min(len(all), len(again)) {
		require.Equal(t, all[i].Key, again[i].Key, "record %d: "+remedy, i, state.RecordVersion+1)
		require.Equal(t, all[i].Value, again[i].Value, "record %d: "+remedy, i, state.RecordVersion+1)
	}
	require.Len(t, again, len(all), remedy, state.RecordVersion+1)
}

// What changes in a State that older records made is all that the journal has to be
// told: with its changes, the old records say what is held now.
func TestDurableChangesOfOlderRecords(t *testing.T) {
	for version := 1; version < state.RecordVersion; version++ {
		all := recordsOf(t, version)
		held, err := replay(all)
		require.NoError(t, err)
		k := kept{}
		k.apply(all)
		want := fixture.OnState(t, contentOf(version).State(t))
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
			for _, rt := range held.Runtimes(state.Listing{}).Items {
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

// Records of every version are checked: none can be altered.
func TestDurableRecordsOfEachVersionAreChecked(t *testing.T) {
	for version := 1; version <= state.RecordVersion; version++ {
		all := recordsOf(t, version)
		for i, c := range all {
			at := []int{0, 1, len(c.Value) / 2, len(c.Value) - 1}[i%4]
			altered := slices.Clone(all[:i+1])
			altered[i].Value = bytes.Clone(c.Value)
			altered[i].Value[at] ^= 0x10
			_, err := replay(altered)
			assert.ErrorIs(t, err, journal.ErrCorrupt, "byte %d of the value of key %x, version %d", at, c.Key, version)
		}
	}
}

// ofVersion1 returns what version 1's records say, and a runtime whose session stands as
// they have it.
func ofVersion1(t *testing.T) (k kept, s *state.State, id store.RuntimeID) {
	t.Helper()
	all := recordsOfVersion1(t)
	s, err := replay(all)
	require.NoError(t, err)
	k = kept{}
	k.apply(all)
	return k, s, "talk"
}

// told makes changes in a group of their own, which the journal takes, and opens that.
func told(t *testing.T, k kept, s *state.State, changes func() error) {
	t.Helper()
	s.Begin()
	_ = s.Do(changes)
	s.Settle()
	k.apply(s.Changes())
	s.Commit()
	require.Equal(t, keysOf(keptOf(s)), keysOf(k))
	_, err := k.replay()
	require.NoError(t, err)
}

// What shares the text of a snapshot of version 1 has records of its parts, which go
// with it: the snapshot itself has none.
func TestWhatSharesASnapshotOfVersion1GoesWithItsParts(t *testing.T) {
	k, s, id := ofVersion1(t)
	was := len(k)
	told(t, k, s, func() error { return s.Fork(id, 1, "fork") })
	assert.Greater(t, len(k), was+2)
	told(t, k, s, func() error { s.DeleteRuntime("fork"); return nil })
	assert.Len(t, k, was)
}

// What is taken back has touched a snapshot of version 1, and the journal knows nothing
// of that.
func TestTakenBackLeavesASnapshotOfVersion1(t *testing.T) {
	remove := func(s *state.State, id store.RuntimeID) func() error {
		return func() error { s.DeleteRuntime(id); return errors.New("failed") }
	}
	for name, takeBack := range map[string]func(k kept, s *state.State, id store.RuntimeID){
		"alone": func(k kept, s *state.State, id store.RuntimeID) { told(t, k, s, remove(s, id)) },
		"beside another": func(k kept, s *state.State, id store.RuntimeID) {
			told(t, k, s, func() error {
				s.PutRuntimeState("other", store.RuntimeIdle)
				s.DeleteRuntime(id)
				return errors.New("failed")
			})
			s.Begin()
			_ = s.Do(remove(s, id))
			s.Settle()
			s.PutRuntimeState("other", store.RuntimeIdle)
			s.Settle()
			k.apply(s.Changes())
			s.Commit()
		},
		"rejected": func(_ kept, s *state.State, id store.RuntimeID) {
			s.Begin()
			require.NoError(t, s.Fork(id, 1, "fork"))
			s.DeleteRuntime(id)
			s.Settle()
			s.Rollback()
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, s, id := ofVersion1(t)
			takeBack(k, s, id)
			require.Equal(t, keysOf(keptOf(s)), keysOf(k))
			told(t, k, s, func() error { s.PutSnapshot("new", new(store.SnapshotOf([]byte("new"))), nil); return nil })
			told(t, k, s, func() error { return s.Fork(id, 1, "fork") })
			told(t, k, s, remove(s, "fork"))
			told(t, k, s, func() error { s.DeleteRuntime(id); return nil })
		})
	}
}

// Whatever is done to what version 1's records made, and taken back, the journal has what
// is held, and it opens.
func TestGroupsOnVersion1(t *testing.T) {
	ids, sessions := runtimeIDs, sessionIDs
	defer func() { runtimeIDs, sessionIDs = ids, sessions }()
	runtimeIDs = []store.RuntimeID{"talk", "again", "retained", "filed large", "filed by two", "filed by other", "one byte more", "new", "newer"}
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 4))
		k, s, _ := ofVersion1(t)
		sessionIDs = nil
		for id := range s.Image().Sessions() {
			sessionIDs = append(sessionIDs, id)
		}
		var keep store.Retention
		if seed%2 == 0 {
			keep = someRetention(r)
		}
		for range 30 {
			s.Retention = keep
			if seed%3 == 0 {
				keepKeys(s, rand.New(rand.NewPCG(seed, 1)))
			}
			s.Begin()
			for range r.IntN(4) {
				operate(s, r.Uint64())
			}
			if r.IntN(3) == 0 {
				s.Rollback()
			} else {
				k.apply(s.Changes())
				s.Commit()
			}
			require.Equal(t, keysOf(keptOf(s)), keysOf(k), "seed %d", seed)
			if r.IntN(10) == 0 { // compacted
				k = keptOf(s)
			}
			if r.IntN(5) > 0 {
				continue
			}
			again, err := k.replay()
			require.NoError(t, err, "seed %d", seed)
			require.Equal(t, textsOf(s), textsOf(again), "seed %d", seed)
			s = again
		}
	}
}

// keysOf returns the keys of records, in hex: what has not changed since is still of
// version 1.
func keysOf(k kept) (keys []string) {
	for key := range k {
		keys = append(keys, fmt.Sprintf("%x", key))
	}
	slices.Sort(keys)
	return keys
}

// textsOf returns all texts that are held, by runtime and number.
func textsOf(s *state.State) map[string]string {
	texts := make(map[string]string)
	for v := range s.Image().Views() {
		for one := range v.Sessions() {
			texts[fmt.Sprint(v.RuntimeID(), " ", one.Number)] = fmt.Sprint(one.Snapshot.Format(), one.Snapshot.Digest(), one.Snapshot)
		}
	}
	for id, filed := range s.Image().Sessions() {
		texts[fmt.Sprint(id)] = fmt.Sprint(filed.By, filed.Snapshot.Format(), filed.Snapshot)
	}
	return texts
}
