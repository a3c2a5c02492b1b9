package state

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// seal makes a record of a key and a payload, as if it were one of ours.
func seal(key, payload []byte) journal.Change {
	return put(key, func(b []byte) []byte { return append(b, payload...) })
}

// FuzzReplay gives a Replay records that have the right checksums and whatever
// keys and payloads. What it takes is whole: it can be written again as it was,
// and gone on with.
func FuzzReplay(f *testing.F) {
	for n := range 3 {
		f.Add(packed(slices.Collect(replayed(n, 10).Records())))
	}
	f.Add(packed(slices.Collect(replayedWithKeys().Records())))
	f.Add(packed(inVersion2(f, slices.Collect(replayed(2, 10).Records()))))
	f.Fuzz(func(t *testing.T, data []byte) {
		var records []journal.Change
		for len(data) > 0 {
			version, key, payload, rest := unpack(data)
			data = rest
			records = append(records, sealed(version, key, func(b []byte) []byte { return append(b, payload...) }))
		}
		for how := strict; how <= salvaging; how++ {
			s := new(State)
			if replayInto(s, records, how) == nil {
				goesOn(t, s, how)
			}
		}
	})
}

// goesOn asserts that a State can be written, and changed until nothing is left.
func goesOn(t *testing.T, s *State, how leniency) {
	s.left, s.aside = leftOvers{}, asides{} // which have no records in Records
	if s.revision > 0 {
		again := new(State)
		require.NoError(t, replayInto(again, slices.Collect(s.Records()), strict), how)
		require.Equal(t, s.Totals(), again.Totals())
	}
	for _, t := range slices.Collect(s.stones.values.all()) {
		s.Revive(t.id)
	}
	s.Settle()
	for _, rt := range slices.Collect(s.order.all()) {
		for range 2 {
			s.PutInputState(rt.id, &store.InputState{CurrentState: store.InputQueued})
			if _, err := s.NextSequence(rt.id, store.RunID{1}); err == nil {
				s.PutReceipt(rt.id, &Receipt{RunID: store.RunID{1}})
			}
			s.PutSnapshot(rt.id, new(lines(10)), nil)
			s.Prune(rt.id, store.Retention{ReceiptsPerRun: 1, Inputs: store.Keep{Last: 1}, Sessions: store.Keep{Last: 2}}, store.Time{})
			s.Settle()
		}
		s.DeleteRuntime(rt.id)
		s.Settle()
	}
	require.Zero(t, s.Totals(), "what was counted is what was there")
}

func replayInto(s *State, records []journal.Change, how leniency) error {
	r := NewReplay(s)
	defer r.Close()
	if how != strict {
		r.lenient(how)
	}
	for _, c := range records {
		if err := r.Put(c); err != nil {
			return err
		}
	}
	return r.Done()
}

func replay(records []journal.Change) (*State, error) {
	s := new(State)
	return s, replayInto(s, records, strict)
}

// replayed returns a State with a little of everything.
func replayed(n, snapshotBytes int) *State {
	s := new(State)
	for i := range n {
		id := store.RuntimeID(rune('a' + i))
		s.PutRuntimeState(id, store.RuntimeIdle)
		s.PutInputState(id, &store.InputState{InputID: store.InputID{1}, CurrentState: store.InputQueued, PersistedInput: []byte("{}")})
		s.PutReceipt(id, NewReceipt(&store.RunBoundaryReceipt{Boundary: store.RunStart, ContributingInputIDs: []store.InputID{{1}, {2}}, ConversationDigest: new("text")}))
		s.UseSequences(id, store.RunID{2}, 7)
		snapshot := new(store.SnapshotOf(make([]byte, snapshotBytes)))
		s.PutSnapshot(id, snapshot, nil)
		s.PutSession(id, store.SessionID{byte(i)}, snapshot)
		s.Retention.Sessions.Last = 9
		s.PutSnapshot(id, new(lines(snapshotBytes)), s.Receipt(id, store.RunID{}, 0))
		_ = s.Fork(id, 1, id+"'")
		s.Settle()
	}
	return s
}

// replayedWithKeys returns a State with labels, times, keys that are kept, tombstones, a
// runtime that was brought back, and inputs of versions beyond the revision.
func replayedWithKeys() *State {
	s := &State{Tombstones: store.Keep{Last: 9}, Retention: store.Retention{Keys: store.Keep{Last: 9}}, Now: store.TimeOf(time.Unix(100, 1))}
	for _, id := range []store.RuntimeID{"a", "b", "c", "d"} {
		for n := range byte(4) {
			s.PutInputState(id, &store.InputState{InputID: store.InputID{n}, CurrentState: store.InputQueued, IdempotencyKey: new(string(rune('a' + n/2)))})
		}
		s.PutLabels(id, map[string]string{"key": string(id), "empty": ""})
		s.PutReceipt(id, NewReceipt(&store.RunBoundaryReceipt{Boundary: store.RunStart, Sequence: 7}))
		s.Settle()
		s.DeleteInputState(id, store.InputID{0})
		s.DeleteInputState(id, store.InputID{1})
		s.Settle()
	}
	for _, id := range []store.RuntimeID{"b", "c", "d"} {
		s.DeleteRuntime(id)
		s.Settle()
	}
	s.Revive("c")
	s.Settle()
	s.fence(1 << 32)
	s.Tombstones, s.Retention = store.Keep{}, store.Retention{}
	return s
}

// Forged records are refused, or passed over where that is asked for.
func TestReplayRefusesForgedTombstonesAndKeys(t *testing.T) {
	whole := slices.Collect(replayedWithKeys().Records())
	_, err := replay(whole)
	require.NoError(t, err)
	key := func(key string) *usedKey { return &usedKey{key: key} }
	at := func(kind byte, sub int) int { // of the first record
		return slices.IndexFunc(whole, func(c journal.Change) bool { return len(c.Key) > 9 && c.Key[0] == kind && int(c.Key[9]) == sub })
	}
	for name, forge := range map[string]func(all []journal.Change) []journal.Change{
		"a tombstone beyond the revision": func(all []journal.Change) []journal.Change {
			return append(all, stoneRecord(99, &tombstone{id: "z", revision: 100}))
		},
		"a tombstone of no revision": func(all []journal.Change) []journal.Change {
			return append(all, stoneRecord(99, &tombstone{id: "z"}))
		},
		"a tombstone of a runtime that is there": func(all []journal.Change) []journal.Change {
			return append(all, stoneRecord(99, &tombstone{id: "a", revision: 1}))
		},
		"a tombstone twice": func(all []journal.Change) []journal.Change {
			return append(all, stoneRecord(99, &tombstone{id: "b", revision: 1}))
		},
		"a tombstone at no place": func(all []journal.Change) []journal.Change {
			return append(all, stoneRecord(maxPlace+1, &tombstone{id: "z", revision: 1}))
		},
		"a tombstone with a key twice": func(all []journal.Change) []journal.Change {
			return append(all, stoneRecord(99, &tombstone{id: "z", revision: 1, keys: []*usedKey{key("k"), key("k")}}))
		},
		"a tombstone with a key that is not UTF-8": func(all []journal.Change) []journal.Change {
			return append(all, stoneRecord(99, &tombstone{id: "z", revision: 1, keys: []*usedKey{key("\xff")}}))
		},
		"a tombstone of records of its own": func(all []journal.Change) []journal.Change {
			return append(all, put(keyOf(keyStone, 99, subKey, 1), key("k").append))
		},
		"a tombstone less": func(all []journal.Change) []journal.Change {
			return slices.Delete(all, at(keyStone, subHead), at(keyStone, subHead)+1)
		},
		"a key of an input": func(all []journal.Change) []journal.Change {
			i := at(keyRuntime, subKey)
			all[i] = put(all[i].Key, key("b").append)
			return all
		},
		"a key less": func(all []journal.Change) []journal.Change {
			return slices.Delete(all, at(keyRuntime, subKey), at(keyRuntime, subKey)+1)
		},
	} {
		forged := forge(slices.Clone(whole))
		_, err := replay(forged)
		require.ErrorIs(t, err, journal.ErrCorrupt, name)
		for _, how := range []leniency{settingAside, salvaging} {
			s := new(State)
			if replayInto(s, forged, how) == nil {
				goesOn(t, s, how)
			}
		}
	}
}

// Without the first record all that is salvaged can be written and opened again: the
// revision is no less than that of a tombstone, and the next one is beyond all versions of
// inputs.
func TestSalvagedWithoutTheFirstRecord(t *testing.T) {
	whole := slices.Collect(replayedWithKeys().Records())
	s := new(State)
	require.NoError(t, replayInto(s, whole[1:], salvaging))
	require.Equal(t, 2, s.Totals().Tombstones)
	for t1 := range s.stones.values.all() {
		require.LessOrEqual(t, t1.revision, s.Revision())
	}
	s.PutRuntimeState("a", store.RuntimeIdle)
	require.Greater(t, s.Pending(), s.InputVersion("a", store.InputID{2}))
	goesOn(t, s, salvaging)
}

// lines returns a snapshot of JSON Lines.
func lines(bytes int) store.Snapshot {
	s, _ := store.Snapshot{}.Replace(store.FormatLines, strings.Repeat("1\n", bytes/2), 0)
	return s
}

// packed is records without their sums: a byte that says how long a key is, the key,
// two bytes for the payload, the version, and the payload.
func packed(records []journal.Change) (all []byte) {
	for _, c := range records {
		payload := c.Value[1 : len(c.Value)-4]
		all = append(append(all, byte(len(c.Key))), c.Key...)
		all = append(append(all, byte(len(payload)>>8), byte(len(payload)), c.Value[0]), payload...)
	}
	return all
}

func unpack(data []byte) (version byte, key, payload, rest []byte) {
	key, data = cut(data[1:], int(data[0]))
	if len(data) < 3 {
		return recordVersion, key, nil, nil
	}
	payload, rest = cut(data[3:], int(data[0])<<8|int(data[1]))
	return data[2], key, payload, rest
}

func cut(data []byte, at int) (before, after []byte) {
	at = min(at, len(data))
	return data[:at], data[at:]
}

func TestReplayTakesWhatWasWritten(t *testing.T) {
	for n := range 3 {
		s := replayed(n, snapshotChunk+10)
		again, err := replay(slices.Collect(s.Records()))
		require.NoError(t, err)
		require.Equal(t, slices.Collect(s.Records()), slices.Collect(again.Records()))
	}
}

// Numbers from which no further ones can be counted, and runs without a latest
// receipt, are no state that a store can have had.
func TestReplayRefusesWhatCannotGoOn(t *testing.T) {
	written := replayed(1, 10)
	place := keyOf(keyRuntime, math.MaxUint64-1, subHead)[1:9]
	for name, alter := range map[string]func(key, payload []byte) ([]byte, []byte){
		"the last revision": func(key, payload []byte) ([]byte, []byte) {
			if len(key) == 1 {
				payload = appendNumbers(nil, math.MaxUint64, 1, 1, 1)
			}
			return key, payload
		},
		"the last place of a runtime": func(key, payload []byte) ([]byte, []byte) {
			switch key[0] {
			case keyRoot:
				payload = appendNumbers(nil, 1, math.MaxUint64, 1, 1)
			case keyRuntime:
				copy(key[1:], place)
			}
			return key, payload
		},
		"the last place of an input": func(key, payload []byte) ([]byte, []byte) {
			if len(key) > 10 && key[0] == keyRuntime && key[9] == subInput {
				copy(key[10:], place)
			}
			return key, payload
		},
		"the last place of a session": func(key, payload []byte) ([]byte, []byte) {
			if key[0] == keyFiled {
				copy(key[1:], place)
			}
			return key, payload
		},
	} {
		var records []journal.Change
		for c := range written.Records() {
			records = append(records, seal(alter(c.Key, c.Value[1:len(c.Value)-4])))
		}
		_, err := replay(records)
		require.ErrorIs(t, err, journal.ErrCorrupt, name)
	}
	for rt := range written.order.all() {
		rt.latest = nil
	}
	_, err := replay(slices.Collect(written.Records()))
	require.ErrorContains(t, err, "no latest receipt")
}

// A replay passes over as many records of what is not held as the first one says.
func TestReplayCountsLeftOvers(t *testing.T) {
	written := replayed(2, 10)
	written.DeleteRuntime("b")
	written.Settle()
	written.texts.names++ // of a part that is there no more
	place := written.next + importPlaces
	leftOvers := []journal.Change{
		seal(keyOf(keyRuntime, place, subHead), []byte("of an import")),
		seal(keyOf(keyRuntime, place, subInput, 7), []byte("of that runtime")),
		seal(partKey(written.texts.names+1), []byte("\x00of an import")),
		seal(keyOf(keyFiled, written.sessions.next, subHead), []byte("of an import")),
		seal(partKey(written.texts.names), []byte("\x00of no text")),
		seal(keyOf(keyRuntime, 2, subReceipt, 0, 0), []byte("of a runtime without a head")),
	}
	for there := range len(leftOvers) + 1 {
		for said := range uint64(len(leftOvers) + 2) {
			records := slices.Concat(slices.Collect(written.Records()), leftOvers[:there])
			records[0] = written.rootRecord(said, 0)
			slices.SortFunc(records, func(a, b journal.Change) int { return bytes.Compare(a.Key, b.Key) })
			s, err := replay(records)
			if said != uint64(there) {
				require.ErrorIs(t, err, journal.ErrCorrupt, "%d are there, and %d are said to be", there, said)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, said, s.LeftOvers())
			require.Len(t, s.Clearing(), min(there, 1))
		}
	}
}
