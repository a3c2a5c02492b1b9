package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

const (
	callers = 8
	rounds  = 100 // of each caller
)

func concurrency() []promise {
	return []promise{
		{"each sequence is minted once, and none is left out", sequencesAreMintedOnce},
		{"sequences follow the clock", sequencesFollowTheClock},
		{"no update is lost", noUpdateIsLost},
		{"a caller reads what it wrote", callersReadTheirWrites},
		{"a lifecycle commit is seen whole or not at all", lifecycleIsSeenWhole},
		{"a boundary commit is seen whole or not at all", boundaryIsSeenWhole},
		{"an apply is seen whole or not at all", applyIsSeenWhole},
		{"runtimes do not mix", runtimesDoNotMix},
	}
}

// contribution is the id by which a commit of a caller's is known.
func contribution(caller, round int) store.InputID {
	return store.InputID{byte(caller), byte(round), 1}
}

func sequencesAreMintedOnce(tr *trial) {
	var mu sync.Mutex
	minted := map[uint64]store.InputID{}
	err := inTurns(func(caller, round int) error {
		mine := contribution(caller, round)
		c := committing(store.RunID{1})
		c.ContributingInputIDs = []store.InputID{mine}
		receipt, err := tr.store.CommitSessionBoundary(tr.Context(), "a", c)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if other, twice := minted[receipt.Sequence]; twice {
			return fmt.Errorf("sequence %d was minted twice, for %v and for %v", receipt.Sequence, other, mine)
		}
		minted[receipt.Sequence] = mine
		return nil
	})
	require.NoError(tr, err)
	for sequence := range uint64(callers * rounds) {
		mine, ok := minted[sequence]
		require.True(tr, ok, "sequence %d was left out", sequence)
		require.Equal(tr, []store.InputID{mine}, tr.receipt("a", store.RunID{1}, sequence).ContributingInputIDs, "sequence %d", sequence)
	}
}

// A commit that began after another had returned has a higher sequence.
func sequencesFollowTheClock(tr *trial) {
	var clock atomic.Int64
	var mu sync.Mutex
	type span struct{ began, ended int64 }
	spans := map[uint64]span{}
	err := inTurns(func(int, int) error {
		began := clock.Add(1)
		receipt, err := tr.store.CommitSessionBoundary(tr.Context(), "a", committing(store.RunID{1}))
		ended := clock.Add(1)
		mu.Lock()
		defer mu.Unlock()
		spans[receipt.Sequence] = span{began, ended}
		return err
	})
	require.NoError(tr, err)
	var latest int64 // when the last of those so far began
	for sequence := range uint64(callers * rounds) {
		s, ok := spans[sequence]
		require.True(tr, ok, "sequence %d was not minted", sequence)
		require.Greater(tr, s.ended, latest, "the commit of sequence %d had returned before that of a lower one began", sequence)
		latest = max(latest, s.began)
	}
}

// Each caller has an input of its own, which it updates by every operation in
// turn, and adds others.
func noUpdateIsLost(tr *trial) {
	err := inTurns(func(caller, round int) (err error) {
		mine := attempted(byte(caller), uint32(round+1))
		switch round % 4 {
		case 0:
			err = tr.store.PersistInputState(tr.Context(), "a", store.NewInputState(contribution(caller, round), store.Time{}))
			if err == nil {
				err = tr.store.AtomicApply(tr.Context(), "a", applying(store.RunID{byte(caller)}, uint64(round), mine))
			}
		case 1:
			_, err = tr.store.CommitSessionBoundary(tr.Context(), "a", committing(store.RunID{99}, mine))
		case 2:
			err = tr.store.AtomicLifecycleCommit(tr.Context(), "a", store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: []store.InputState{mine}})
		case 3:
			err = tr.store.PersistInputState(tr.Context(), "a", mine)
		}
		if err != nil {
			return err
		}
		got, ok, err := tr.store.LoadInputState(tr.Context(), "a", mine.InputID)
		if err == nil && (!ok || got.AttemptCount != mine.AttemptCount) {
			err = fmt.Errorf("update %d of caller %d was lost: the state is %s", round, caller, textOf(got))
		}
		return err
	})
	require.NoError(tr, err)
	assert.Len(tr, tr.inputs("a"), callers+callers*rounds/4)
	for caller := range callers {
		assert.EqualValues(tr, rounds, tr.input("a", store.InputID{byte(caller)}).AttemptCount, "an update of caller %d was lost", caller)
		for round := 0; round < rounds; round += 4 {
			tr.input("a", contribution(caller, round))
		}
	}
}

func callersReadTheirWrites(tr *trial) {
	require.NoError(tr, inTurns(func(caller, round int) error {
		id, state := store.RuntimeID(fmt.Sprint(caller)), store.RuntimeIdle
		if round%2 == 1 {
			state = store.RuntimeRunning
		}
		if err := tr.store.PersistRuntimeState(tr.Context(), id, state); err != nil {
			return err
		}
		if got, _, err := tr.store.LoadRuntimeState(tr.Context(), id); err != nil || got != state {
			return fmt.Errorf("caller %d stored %s and read %q, error %w", caller, state, got, err)
		}
		receipt, err := tr.store.CommitSessionBoundary(tr.Context(), "a", committing(store.RunID{1}))
		if err != nil {
			return err
		}
		if _, ok, err := tr.store.LoadBoundaryReceipt(tr.Context(), "a", store.RunID{1}, receipt.Sequence); err != nil || !ok {
			return fmt.Errorf("caller %d was given receipt %d and does not find it, error %w", caller, receipt.Sequence, err)
		}
		return nil
	}))
}

// seenWhole lets half of the callers write batches of inputs 0 to 5, and the
// others look whether all six are of one write, which of tells.
func (tr *trial) seenWhole(write func(caller, round int, batch []store.InputState) error, of func(store.InputState) string) {
	tr.Helper()
	err := inTurns(func(caller, round int) error {
		if caller%2 == 0 {
			var batch []store.InputState
			for n := range byte(6) {
				batch = append(batch, attempted(n, uint32(caller*rounds+round)))
			}
			return write(caller, round, batch)
		}
		states, err := tr.store.LoadInputStates(tr.Context(), "a")
		if err != nil {
			return err
		}
		if len(states) != 0 && len(states) != 6 {
			return fmt.Errorf("%d inputs of a batch of 6 are there", len(states))
		}
		for _, s := range states {
			if of(s) != of(states[0]) {
				return fmt.Errorf("inputs of two batches are there: %s, %s", textOf(states[0]), textOf(s))
			}
		}
		return nil
	})
	require.NoError(tr, err)
	require.Len(tr, tr.inputs("a"), 6)
}

func attemptOf(s store.InputState) string { return fmt.Sprint(s.AttemptCount) }

func lifecycleIsSeenWhole(tr *trial) {
	tr.seenWhole(func(_, _ int, batch []store.InputState) error {
		return tr.store.AtomicLifecycleCommit(tr.Context(), "a", store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: batch})
	}, attemptOf)
}

func applyIsSeenWhole(tr *trial) {
	tr.seenWhole(func(caller, round int, batch []store.InputState) error {
		return tr.store.AtomicApply(tr.Context(), "a", applying(store.RunID{byte(caller)}, uint64(round), batch...))
	}, attemptOf)
}

func boundaryIsSeenWhole(tr *trial) {
	tr.seenWhole(func(_, _ int, batch []store.InputState) error {
		_, err := tr.store.CommitSessionBoundary(tr.Context(), "a", committing(store.RunID{1}, batch...))
		return err
	}, func(s store.InputState) string {
		if s.LastBoundarySequence == nil {
			return "no stamp"
		}
		return fmt.Sprint(s.AttemptCount, " at ", *s.LastBoundarySequence)
	})
}

func runtimesDoNotMix(tr *trial) {
	err := inTurns(func(caller, round int) error {
		id := store.RuntimeID(fmt.Sprint(caller))
		c := committing(store.RunID{1}, attempted(1, uint32(caller)))
		c.Session.SessionSnapshot = document(conversation(caller, round))
		receipt, err := tr.store.CommitSessionBoundary(tr.Context(), id, c)
		if err != nil {
			return err
		}
		snapshot, _, err := tr.store.LoadSessionSnapshot(tr.Context(), id)
		if err == nil && string(snapshot) != string(c.Session.SessionSnapshot) || receipt.MessageCount != uint64(caller) {
			err = fmt.Errorf("runtime %d: commit %d has %d messages, and the snapshot is %q", caller, round, receipt.MessageCount, snapshot)
		}
		return err
	})
	require.NoError(tr, err)
	for caller := range callers {
		assert.EqualValues(tr, caller, tr.input(store.RuntimeID(fmt.Sprint(caller)), store.InputID{1}).AttemptCount)
	}
}
