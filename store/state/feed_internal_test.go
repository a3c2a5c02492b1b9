package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

const testLife = 7

// feedOf returns the changes after a cursor.
func feedOf(t *testing.T, s *State, after ChangeCursor) []Change {
	t.Helper()
	c, err := s.ChangesAfter(after, testLife)
	require.NoError(t, err)
	return slices.Collect(c.All())
}

func setState(s *State, ids ...store.RuntimeID) {
	for _, id := range ids {
		s.PutRuntimeState(id, store.RuntimeIdle)
	}
	s.Settle()
}

// A follower that ends between two runtimes, and goes on from there, learns all that has
// changed of the second, also what came before the first.
func TestACursorBetweenTwoLosesNothing(t *testing.T) {
	for name, before := range map[string]int{"recent": 0, "partly older": 2*recentChanges - 3, "older": 3 * recentChanges} {
		t.Run(name, func(t *testing.T) {
			s := new(State)
			setState(s, "a", "b")
			start := s.ChangesCursor(testLife)
			s.PutLabels("b", map[string]string{"of": "b"})
			s.Settle()
			for range before {
				setState(s, "c")
			}
			setState(s, "a")
			setState(s, "b")
			for at, seen := start, ([]store.RuntimeID)(nil); ; {
				all := feedOf(t, s, at)
				if len(all) == 0 {
					assert.Equal(t, store.RuntimeID("b"), seen[len(seen)-1])
					break
				}
				at, seen = all[0].Cursor, append(seen, all[0].RuntimeID)
				if id := all[0].RuntimeID; id == "b" {
					assert.True(t, all[0].What.Has(LabelsChanged), all[0].What)
				}
			}
		})
	}
}

// A cursor that was just given is of use, however much there was before anybody asked for one.
func TestACursorOfTheFirstAnswerHasNotExpired(t *testing.T) {
	s := new(State)
	setState(s, "a")
	setState(s, "b")
	s.DeleteRuntime("b")
	s.Settle()
	setState(s, "c")
	all := feedOf(t, s, "")
	require.Len(t, all, 2)
	s.DeleteRuntime("a")
	s.Settle()
	rest := feedOf(t, s, all[0].Cursor)
	require.Len(t, rest, 2)
	assert.Equal(t, store.RuntimeID("c"), rest[0].RuntimeID)
	assert.Equal(t, RuntimeDeleted, rest[1].What)
}

// A follower that keeps the cursor of the last change of each answer has read all of it, and
// goes on to know exactly what has changed.
func TestTheLastCursorOfAnAnswerIsExact(t *testing.T) {
	s := new(State)
	at := s.ChangesCursor(testLife)
	setState(s, "a")
	for range 3 * recentChanges {
		setState(s, "a", "b")
		all := feedOf(t, s, at)
		at = all[len(all)-1].Cursor
		require.Len(t, all, 2)
	}
	setState(s, "b")
	all := feedOf(t, s, at)
	require.Len(t, all, 1)
	assert.Equal(t, StateChanged, all[0].What)
}

// However many deletions may be remembered, their ids have a bound.
func TestDeletionsOfLongIDsAreForgotten(t *testing.T) {
	s := &State{Deletions: 1 << 20}
	before := s.ChangesCursor(testLife)
	pad := strings.Repeat("x", 1<<16)
	for n := range 2 * maxDeletedBytes / len(pad) {
		id := store.RuntimeID(fmt.Sprint(pad, n))
		setState(s, id)
		s.DeleteRuntime(id)
		s.Settle()
		require.LessOrEqual(t, s.feed.bytes, maxDeletedBytes)
	}
	for range 2 * recentChanges {
		setState(s, "a")
	}
	_, err := s.ChangesAfter(before, testLife)
	require.ErrorIs(t, err, store.ErrCursorExpired)
}

// Where not all is there that a journal remembers of deletions, cursors that may miss one have
// expired, and no runtime is lost for it.
func TestDamagedDeletions(t *testing.T) {
	s := new(State)
	setState(s, "a", "b", "c")
	before := s.ChangesCursor(testLife)
	s.DeleteRuntime("a")
	s.Settle()
	s.DeleteRuntime("b")
	s.Settle()
	records := slices.Collect(s.Records())
	after := s.ChangesCursor(testLife)
	kind := func(kind byte) func(journal.Change) bool {
		return func(c journal.Change) bool { return c.Key[0] == kind && len(c.Key) != 9 }
	}
	damage := map[string]func(*[]journal.Change){
		"changed": func(all *[]journal.Change) {
			at := slices.IndexFunc(*all, kind(keyDeleted))
			(*all)[at].Value = slices.Clone((*all)[at].Value)
			(*all)[at].Value[2] ^= 1
		},
		"of a runtime that is there": func(all *[]journal.Change) {
			at := slices.IndexFunc(*all, kind(keyDeleted))
			(*all)[at] = deletionRecord(0, &deletion{"c", point{1, 0}})
		},
		"twice": func(all *[]journal.Change) {
			at := slices.IndexFunc(*all, kind(keyDeleted))
			(*all)[at+1] = deletionRecord(1, &deletion{"a", point{1, 0}})
		},
		"later than all": func(all *[]journal.Change) {
			at := slices.IndexFunc(*all, kind(keyDeleted))
			(*all)[at] = deletionRecord(0, &deletion{"a", point{99, 0}})
		},
		"lost":                     func(all *[]journal.Change) { *all = slices.DeleteFunc(*all, kind(keyDeleted)) },
		"the first record is lost": func(all *[]journal.Change) { *all = slices.DeleteFunc(*all, kind(keyRoot)) },
	}
	for name, damage := range damage {
		t.Run(name, func(t *testing.T) {
			all := slices.Clone(records)
			damage(&all)
			require.ErrorIs(t, replayInto(new(State), all, strict), journal.ErrCorrupt)
			for _, how := range []leniency{settingAside, salvaging} {
				again := new(State)
				err := replayInto(again, all, how)
				if all[0].Key[0] != keyRoot || len(all) == 2 { // nothing says that there was damage but a number
					if how == settingAside {
						require.ErrorIs(t, err, journal.ErrCorrupt)
						continue
					}
				}
				require.NoError(t, err)
				require.NotNil(t, again.runtimes["c"])
				_, err = again.ChangesAfter(before, testLife+1)
				assert.ErrorIs(t, err, store.ErrCursorExpired)
				if again.feed.life == testLife {
					assert.Empty(t, feedOf(t, again, after))
				}
				setState(again, "c")
				again.DeleteRuntime("c")
				again.Settle()
				require.NoError(t, replayInto(new(State), slices.Collect(again.Records()), strict))
			}
		})
	}
}
