package storetest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

func concurrency() []promise {
	promises := []promise{
		{words: "each sequence is minted once, and none is left out", try: sequencesAreMintedOnce},
		{words: "sequences follow the clock", try: sequencesFollowTheClock},
		{words: "no update is lost", try: noUpdateIsLost},
		{words: "no operation loses what another stored", try: nothingElseIsLost},
		{words: "first writes to a new runtime are all there", try: firstWritesAreAllThere},
		{words: "no commit replaces what was applied", try: noCommitReplaces},
		{words: "a caller reads what it wrote", try: callersReadTheirWrites},
		{words: "a lifecycle commit is seen whole or not at all", try: lifecycleIsSeenWhole},
		{words: "a boundary commit is seen whole or not at all", try: boundaryIsSeenWhole},
		{words: "an apply is seen whole or not at all", try: applyIsSeenWhole},
		{words: "runtimes do not mix", try: runtimesDoNotMix},
		{words: "every operation may run beside every other", try: allAtOnce},
	}
	for _, w := range writes() {
		promises = append(promises, promise{words: w.name + " takes effect at one moment, in all its parts and for all callers", try: func(tr *trial) { tr.atOneMoment(w) }})
	}
	return promises
}

// contribution returns the id that identifies a caller's commit.
func contribution(caller, turn int) store.InputID {
	return store.InputID{byte(caller), byte(turn), 1}
}

func sequencesAreMintedOnce(tr *trial) {
	var mu sync.Mutex
	minted := map[uint64]store.InputID{}
	n := repeats(100)
	err := inTurns(n, func(caller, turn int) error {
		mine := contribution(caller, turn)
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
	for sequence := range uint64(callers * n) {
		mine, ok := minted[sequence]
		require.True(tr, ok, "sequence %d was left out", sequence)
		require.Equal(tr, []store.InputID{mine}, tr.receipt("a", store.RunID{1}, sequence).ContributingInputIDs, "sequence %d", sequence)
	}
}

// A commit that begins after another has returned gets a higher sequence.
func sequencesFollowTheClock(tr *trial) {
	var clock atomic.Int64
	var mu sync.Mutex
	type span struct{ began, ended int64 }
	spans := map[uint64]span{}
	n := repeats(100)
	err := inTurns(n, func(int, int) error {
		began := clock.Add(1)
		receipt, err := tr.store.CommitSessionBoundary(tr.Context(), "a", committing(store.RunID{1}))
		ended := clock.Add(1)
		mu.Lock()
		defer mu.Unlock()
		spans[receipt.Sequence] = span{began, ended}
		return err
	})
	require.NoError(tr, err)
	var latest int64 // the latest start of the commits so far
	for sequence := range uint64(callers * n) {
		s, ok := spans[sequence]
		require.True(tr, ok, "sequence %d was not minted", sequence)
		require.Greater(tr, s.ended, latest, "the commit of sequence %d had returned before that of a lower one began", sequence)
		latest = max(latest, s.began)
	}
}

// Each caller updates an input of its own, with every operation in turn, and adds
// others.
func noUpdateIsLost(tr *trial) {
	n := repeats(100)
	err := inTurns(n, func(caller, turn int) (err error) {
		mine := attempted(byte(caller), uint32(turn+1))
		switch turn % 4 {
		case 0:
			err = tr.store.PersistInputState(tr.Context(), "a", store.NewInputState(contribution(caller, turn), store.Time{}))
			if err == nil {
				err = tr.store.AtomicApply(tr.Context(), "a", applying(store.RunID{byte(caller)}, uint64(turn), mine))
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
			err = fmt.Errorf("update %d of caller %d was lost: the state is %s", turn, caller, textOf(got))
		}
		return err
	})
	require.NoError(tr, err)
	assert.Equal(tr, callers+callers*((n+3)/4), len(tr.inputs("a")))
	for caller := range callers {
		assert.EqualValues(tr, n, tr.input("a", store.InputID{byte(caller)}).AttemptCount, "an update of caller %d was lost", caller)
		for turn := 0; turn < n; turn += 4 {
			tr.input("a", contribution(caller, turn))
		}
	}
}

func callersReadTheirWrites(tr *trial) {
	require.NoError(tr, inTurns(repeats(100), func(caller, turn int) error {
		id, state := store.RuntimeID(fmt.Sprint(caller)), store.RuntimeIdle
		if turn%2 == 1 {
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
			return fmt.Errorf("caller %d got receipt %d and cannot load it, error %w", caller, receipt.Sequence, err)
		}
		return nil
	}))
}

// seenWhole has half of the callers write batches of 40 inputs. Meanwhile the others
// check that all inputs are of one write; of names the write of an input.
func (tr *trial) seenWhole(write func(caller, turn int, batch []store.InputState) error, of func(store.InputState) string) {
	tr.Helper()
	const size = 40
	var writing atomic.Int32
	writing.Store(callers / 2)
	err := together(callers, func(caller int) error {
		if caller%2 == 0 {
			defer writing.Add(-1)
			for turn := range repeats(60) {
				var batch []store.InputState
				for n := range byte(size) {
					batch = append(batch, attempted(n, uint32(caller<<16+turn)))
				}
				if err := write(caller, turn, batch); err != nil {
					return err
				}
				runtime.Gosched()
			}
			return nil
		}
		for writing.Load() > 0 {
			if err := tr.lookWhole(size, of); err != nil {
				return err
			}
			runtime.Gosched()
		}
		return nil
	})
	require.NoError(tr, err)
	assert.Equal(tr, size, len(tr.inputs("a")))
}

// lookWhole loads the inputs once and checks them.
func (tr *trial) lookWhole(size int, of func(store.InputState) string) error {
	states, err := tr.store.LoadInputStates(tr.Context(), "a")
	if err != nil {
		return err
	}
	if len(states) != 0 && len(states) != size {
		return fmt.Errorf("%d of the %d inputs of a batch are there", len(states), size)
	}
	for _, s := range states {
		if of(s) != of(states[0]) {
			return fmt.Errorf("inputs of two writes are there: %s, %s", textOf(states[0]), textOf(s))
		}
	}
	return nil
}

func attemptOf(s store.InputState) string { return fmt.Sprint(s.AttemptCount) }

func lifecycleIsSeenWhole(tr *trial) {
	tr.seenWhole(func(_, _ int, batch []store.InputState) error {
		return tr.store.AtomicLifecycleCommit(tr.Context(), "a", store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: batch})
	}, attemptOf)
}

func applyIsSeenWhole(tr *trial) {
	tr.seenWhole(func(caller, turn int, batch []store.InputState) error {
		return tr.store.AtomicApply(tr.Context(), "a", applying(store.RunID{byte(caller)}, uint64(turn), batch...))
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
	err := inTurns(repeats(100), func(caller, turn int) error {
		id := store.RuntimeID(fmt.Sprint(caller))
		c := committing(store.RunID{1}, attempted(1, uint32(caller)))
		c.Session.SessionSnapshot = document(conversation(caller, turn))
		receipt, err := tr.store.CommitSessionBoundary(tr.Context(), id, c)
		if err != nil {
			return err
		}
		snapshot, _, err := tr.store.LoadSessionSnapshot(tr.Context(), id)
		if err == nil && string(snapshot) != string(c.Session.SessionSnapshot) || receipt.MessageCount != uint64(caller) {
			err = fmt.Errorf("runtime %d: commit %d has %d messages, and the snapshot is %q", caller, turn, receipt.MessageCount, snapshot)
		}
		return err
	})
	require.NoError(tr, err)
	for caller := range callers {
		assert.EqualValues(tr, caller, tr.input(store.RuntimeID(fmt.Sprint(caller)), store.InputID{1}).AttemptCount)
	}
}

// atOneMoment has one caller write ascending marks while others load the parts. A
// caller that has seen one part at a mark must see every part at that mark or later
// from then on. So must every caller once the write has returned.
func (tr *trial) atOneMoment(w write) {
	tr.Helper()
	var begun, returned, looks atomic.Uint32
	var over atomic.Bool
	err := together(4, func(caller int) error {
		if caller == 0 {
			defer over.Store(true)
			enough := uint32(repeats(400)) // marks, and looks, unless nobody gets to look
			for mark := uint32(0); mark < enough || looks.Load() < enough && mark < 10*enough; mark++ {
				begun.Store(mark + 1)
				if err := w.do(tr.Context(), tr.store, "a", mark+1); err != nil {
					return err
				}
				returned.Store(mark + 1)
				for range mark % 16 { // let others look
					runtime.Gosched()
				}
			}
			return nil
		}
		var seen uint32
		for look := caller; !over.Load(); look++ {
			p := w.parts[look%len(w.parts)]
			low := max(seen, returned.Load())
			shown, err := p.load(tr.Context(), tr.store, "a", low)
			if err != nil {
				return err
			}
			if high := begun.Load(); p.atLeast(shown, low) < low || p.atLeast(shown, low) > high {
				return fmt.Errorf("%s is at mark %d, although the write of mark %d had returned, or another part was seen at it (the last write that began is %d)", p.name, shown, low, high)
			}
			seen = p.atLeast(shown, low)
			looks.Add(1)
			runtime.Gosched()
		}
		return nil
	})
	require.NoError(tr, err)
}

// All callers share a runtime, and each writes parts of its own. It must find what it
// stored last, right after the write and right before the next one.
func nothingElseIsLost(tr *trial) {
	for i, common := range [][2]int{{3, 1}, {4, 0}} { // indexes in writes(): one stores the runtime's state, the other the snapshot
		id := store.RuntimeID(fmt.Sprint(i))
		err := together(callers, func(caller int) error {
			at := marks{}
			for mark := range uint32(repeats(60)) {
				w := inputOf(byte(100 + caller))
				if caller < len(common) {
					w = writes()[common[caller]]
				}
				if err := at.differ(tr.Context(), tr.store, id, w.parts); err != nil {
					return fmt.Errorf("before the next %s: %w", w.name, err)
				}
				if err := w.do(tr.Context(), tr.store, id, mark+1); err != nil {
					return err
				}
				at.put(w, mark+1)
				if err := at.differ(tr.Context(), tr.store, id, w.parts); err != nil {
					return fmt.Errorf("after %s: %w", w.name, err)
				}
				runtime.Gosched()
			}
			return nil
		})
		require.NoError(tr, err)
	}
}

// inputOf returns a write of input n, by PersistInputState and by an apply without a
// session in turn.
func inputOf(n byte) write {
	return write{fmt.Sprintf("a write of input %d", n), []part{inputPart(n), inputsPart(n)},
		func(ctx context.Context, s store.RuntimeStore, id store.RuntimeID, mark uint32) error {
			if mark%2 == 0 {
				return s.AtomicApply(ctx, id, applying(store.RunID{n}, uint64(mark), attempted(n, mark)))
			}
			return s.PersistInputState(ctx, id, attempted(n, mark))
		}}
}

// The callers all write to a new runtime at once. None of them writes what another
// does.
func firstWritesAreAllThere(tr *trial) {
	for i := range repeats(400) {
		id := store.RuntimeID(fmt.Sprint(i))
		at := marks{}
		first := []write{writes()[0], inputOf(101), inputOf(102), writes()[4], inputOf(103), inputOf(104), inputOf(105), inputOf(106)}
		for caller, w := range first {
			at.put(w, uint32(caller/7+1))
		}
		err := together(callers, func(caller int) error {
			return first[caller].do(tr.Context(), tr.store, id, uint32(caller/7+1))
		})
		require.NoError(tr, err)
		require.NoError(tr, at.differ(tr.Context(), tr.store, id, partsOf(first)))
	}
}

// Half of the callers commit. The others apply receipts where the next commit might
// put its own. A commit mints a sequence above all that stand, so it replaces no
// receipt that was applied.
func noCommitReplaces(tr *trial) {
	const applied = 1 << 40 // added to the message count, it marks a receipt as applied
	var latest atomic.Uint64
	var places sync.Map
	err := inTurns(repeats(100), func(caller, turn int) error {
		if caller%2 == 0 {
			receipt, err := tr.store.CommitSessionBoundary(tr.Context(), "a", committing(store.RunID{1}))
			if err == nil {
				latest.Store(receipt.Sequence)
			}
			return err
		}
		a := applying(store.RunID{1}, latest.Load()+uint64(caller/2%2+1))
		a.Receipt.MessageCount = applied + a.Receipt.Sequence
		places.Store(a.Receipt.Sequence, true)
		return tr.store.AtomicApply(tr.Context(), "a", a)
	})
	require.NoError(tr, err)
	places.Range(func(place, _ any) bool {
		got := tr.receipt("a", store.RunID{1}, place.(uint64))
		return assert.EqualValues(tr, applied+place.(uint64), got.MessageCount, "the receipt that was applied at %d was replaced by a commit's", place)
	})
}

// It is for the race detector.
func allAtOnce(tr *trial) {
	require.NoError(tr, inTurns(repeats(40), func(caller, turn int) error {
		for _, o := range tr.allCalls("a", tr.Context()) {
			if o.err != nil {
				return fmt.Errorf("%s: %w", o.call, o.err)
			}
		}
		return nil
	}))
}
