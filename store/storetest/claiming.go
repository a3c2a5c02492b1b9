package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func claiming() []promise {
	return []promise{
		{words: "without a queue every claim is refused, and changes nothing", try: claimsNeedAQueue},
		{words: "a claim that is not valid is refused, and changes nothing", try: badClaimsAreRefused},
		{words: "the first input of the runtime that waits longest is claimed", try: longestWaitingIsClaimed},
		{words: "a claim takes an input that is in one of the states that it names", try: claimsNameStates},
		{words: "a runtime has one turn at a time", try: turnsAreOneAtATime},
		{words: "the answer is what the store holds, and its version fences", try: claimsFence},
		{words: "the history says when the input was claimed", try: claimsAreInTheHistory},
		{words: "a claim waits for a write of any kind that makes an input ready", try: claimsWaitForInputs},
		{words: "a claim waits for a write of any kind that ends a turn", try: claimsWaitForTurns},
		{words: "no runtime waits while another has two turns", try: turnsAreFair},
		{words: "of many claims each input is claimed by one", try: claimsAreShared},
		{words: "a claim that its caller gave up takes nothing", try: claimsGivenUpTakeNothing},
		{words: "a claim under a context that has ended takes nothing", try: endedClaimsTakeNothing},
		{words: "an import makes inputs ready, and others under way", try: needs[archiver](importsAreClaimed)},
		{words: "what was claimed is under way when the store is reopened", try: needsReopen(claimsAreThereAgain)},
		{words: "claims that wait get ErrClosed at Close", try: needs[io.Closer](claimsEndAtClose)},
		{words: "claims that have ended leave no goroutine", try: claimsLeaveNothing},
	}
}

// queuing continues the trial with a store that has a queue. Inputs that were accepted are
// neither ready nor busy.
func (tr *trial) queuing() {
	tr.Helper()
	tr.openWith(loopstore.Options{Queue: state.Queue{
		Ready: []store.InputLifecycleState{store.InputQueued, store.InputApplied},
		Busy:  []store.InputLifecycleState{store.InputStaged, store.InputAppliedPendingConsumption},
	}})
}

// anyClaim is for whatever is ready.
var anyClaim = store.Claim{To: store.InputStaged}

func claimOf(from ...store.InputLifecycleState) store.Claim {
	return store.Claim{From: from, To: store.InputAppliedPendingConsumption}
}

// inputAt returns input n in a state.
func inputAt(n byte, current store.InputLifecycleState) store.InputState {
	s := accepted(n)
	s.CurrentState = current
	return s
}

// move stores inputs in a state.
func (tr *trial) move(id store.RuntimeID, to store.InputLifecycleState, inputs ...byte) {
	tr.Helper()
	for _, n := range inputs {
		tr.persist(id, inputAt(n, to))
	}
}

func (tr *trial) tryClaim(ctx context.Context, c store.Claim) (state.Claimed, error) {
	return tr.store.(state.Claimer).ClaimNext(ctx, c)
}

// claims claims input n of a runtime, which is ready.
func (tr *trial) claims(id store.RuntimeID, n byte, c store.Claim) state.Claimed {
	tr.Helper()
	claimed, err := tr.tryClaim(tr.patient(), c)
	require.NoError(tr, err, "ClaimNext, when input %d of runtime %q is ready", n, id)
	require.Equal(tr, fmt.Sprint(id, store.InputID{n}), fmt.Sprint(claimed.RuntimeID, claimed.State.InputID), "what was claimed")
	require.Equal(tr, c.To, claimed.State.CurrentState, "its state")
	require.Equal(tr, textOf(tr.input(id, store.InputID{n})), textOf(claimed.State), "what was claimed, and what is stored")
	return claimed
}

// nothingWaits checks that nothing is ready: what comes to be now is claimed next.
func (tr *trial) nothingWaits(when string) {
	tr.Helper()
	for _, c := range []store.Claim{claimOf(store.InputQueued), claimOf(store.InputApplied)} {
		tr.move("comes last", c.From[0], 1)
		claimed, err := tr.tryClaim(tr.patient(), c)
		require.NoError(tr, err, "ClaimNext")
		require.EqualValues(tr, "comes last", claimed.RuntimeID, "%s nothing else is ready, and input %v was claimed", when, claimed.State.InputID)
		tr.write(deleting("comes last"))
	}
}

func claimsNeedAQueue(tr *trial) {
	for _, open := range []func(){tr.open, func() { tr.openWith(loopstore.Options{}) }} {
		open()
		tr.move("a", store.InputQueued, 1)
		before := tr.everything()
		for _, c := range []store.Claim{anyClaim, claimOf(store.InputQueued), claimOf(store.InputApplied)} {
			_, err := tr.tryClaim(tr.patient(), c)
			require.ErrorIs(tr, err, errors.ErrUnsupported)
		}
		require.Equal(tr, before, tr.everything())
	}
}

func badClaimsAreRefused(tr *trial) {
	tr.queuing()
	for range 2 {
		before := tr.everything()
		for what, c := range map[string]store.Claim{
			"no To": {}, "a To that is ready": {To: store.InputQueued}, "a To that is neither": {To: store.InputAccepted}, "a To that ends an input": {To: store.InputConsumed},
			"a To that is no state": {To: "x"}, "a From that is busy": claimOf(store.InputStaged), "a From that is neither": claimOf(store.InputQueued, store.InputAccepted),
			"a From that ends an input": claimOf(store.InputConsumed), "a From that is no state": claimOf(store.InputQueued, ""),
			"an At that has no text": {To: store.InputStaged, At: store.TimeOf(time.Date(1e6, 1, 1, 0, 0, 0, 0, time.UTC))},
		} {
			_, err := tr.tryClaim(tr.patient(), c)
			tr.refused(what, err, store.ErrInvalidValue)
			_, ok := errors.AsType[*store.ValueError](err)
			require.True(tr, ok, "%s: the error must wrap a *store.ValueError, and is %v", what, err)
		}
		require.Equal(tr, before, tr.everything())
		tr.move("a", store.InputQueued, 1) // and when there is something
	}
}

func longestWaitingIsClaimed(tr *trial) {
	tr.queuing()
	tr.move("c", store.InputAccepted, 1)
	tr.move("b", store.InputQueued, 2, 1)
	tr.move("a", store.InputQueued, 1)
	tr.move("c", store.InputQueued, 3, 2)
	tr.move("b", store.InputApplied, 3)
	tr.claims("b", 2, anyClaim)
	tr.claims("a", 1, anyClaim)
	tr.claims("c", 3, anyClaim)
	tr.nothingWaits("when each runtime has its turn")
	tr.move("c", store.InputConsumed, 3)
	tr.move("a", store.InputConsumed, 1)
	tr.move("b", store.InputQueued, 2) // it has its place before the others again
	tr.move("a", store.InputQueued, 2)
	tr.move("c", store.InputQueued, 1) // likewise
	tr.claims("c", 1, anyClaim)
	tr.claims("b", 2, anyClaim)
	tr.claims("a", 2, anyClaim)
	tr.move("b", store.InputConsumed, 2)
	tr.claims("b", 1, anyClaim)
	tr.move("b", store.InputConsumed, 1)
	tr.claims("b", 3, anyClaim)
	tr.write(putting("d", inputAt(1, store.InputQueued)), putting("d", inputAt(1, store.InputConsumed)), putting("d", inputAt(2, store.InputQueued)), deleting("d"))
	tr.nothingWaits("in the end")
}

func claimsNameStates(tr *trial) {
	tr.queuing()
	tr.move("a", store.InputQueued, 1)
	tr.move("a", store.InputApplied, 2)
	tr.move("b", store.InputApplied, 1)
	tr.move("c", store.InputApplied, 1)
	tr.move("c", store.InputQueued, 2)
	tr.claims("a", 2, claimOf(store.InputApplied, store.InputApplied))
	tr.claims("c", 2, claimOf(store.InputQueued))
	tr.move("d", store.InputQueued, 1)
	tr.claims("d", 1, claimOf(store.InputQueued))
	tr.claims("b", 1, claimOf(store.InputQueued, store.InputApplied))
	tr.move("a", store.InputAccepted, 2)
	tr.move("c", store.InputConsumed, 2)
	tr.claims("c", 1, claimOf(store.InputApplied))
	tr.claims("a", 1, claimOf())
	tr.nothingWaits("in the end")
}

func turnsAreOneAtATime(tr *trial) {
	tr.queuing()
	for _, busy := range []store.InputLifecycleState{store.InputStaged, store.InputAppliedPendingConsumption} {
		tr.move("a", store.InputQueued, 1, 2, 3)
		tr.claims("a", 1, store.Claim{To: busy})
		tr.nothingWaits("during a turn")
		tr.move("a", store.InputAppliedPendingConsumption, 1)
		tr.nothingWaits("when it goes on")
		tr.move("a", store.InputStaged, 2)
		tr.move("a", store.InputConsumed, 1)
		tr.nothingWaits("while another input is under way, which nobody has claimed")
		tr.move("a", store.InputAccepted, 2)
		tr.claims("a", 3, store.Claim{To: busy})
		tr.write(deleting("a"), putting("a", inputAt(4, store.InputQueued)))
		tr.claims("a", 4, anyClaim)
		tr.write(deleting("a"))
	}
	tr.write(putting("b", inputAt(1, store.InputQueued)), putting("b", inputAt(2, store.InputStaged)))
	tr.nothingWaits("in a runtime that begins with a turn")
}

func claimsFence(tr *trial) {
	tr.queuing()
	rich := tr.rich()
	rich.CurrentState, rich.TerminalOutcome = store.InputQueued, nil
	tr.write(putting("a", accepted(2)), putting("a", rich))
	queued := tr.inputVersion("a", rich.InputID)
	claimed, err := tr.tryClaim(tr.patient(), anyClaim)
	require.NoError(tr, err)
	require.Equal(tr, tr.inputVersion("a", rich.InputID), claimed.Version, "the version")
	require.Equal(tr, tr.version("a"), claimed.Version, "the runtime's version")
	require.Greater(tr, claimed.Version, queued)
	want := rich.Clone()
	require.NoError(tr, want.Move(store.InputStaged, claimed.State.UpdatedAt, ""))
	require.Equal(tr, textOf(want), textOf(claimed.State), "what was claimed")
	require.Equal(tr, textOf(want), textOf(tr.input("a", rich.InputID)), "what is stored")
	scribble(&claimed.State)
	require.Equal(tr, textOf(want), textOf(tr.input("a", rich.InputID)), "it is the caller's own")
	fence := func(version uint64) error {
		_, err := tr.tryBatch(batch.Batch{
			If:   []batch.Condition{batch.InputVersionIs{RuntimeID: "a", InputID: rich.InputID, Version: version}},
			Then: []batch.Write{putting("a", rich)},
		})
		return err
	}
	tr.refused("a fence from before the claim", fence(queued), store.ErrConflict)
	require.NoError(tr, fence(claimed.Version), "the claim's fence")
	tr.refused("the fence of a claim that was put back", fence(claimed.Version), store.ErrConflict)
	again, err := tr.tryClaim(tr.patient(), anyClaim)
	require.NoError(tr, err)
	require.Greater(tr, again.Version, claimed.Version)
}

func claimsAreInTheHistory(tr *trial) {
	tr.queuing()
	tr.move("a", store.InputQueued, 1)
	at := store.TimeOf(time.Unix(1234, 5678))
	moved := func(c state.Claimed, from store.InputLifecycleState) store.Time {
		tr.Helper()
		require.NotEmpty(tr, c.State.History)
		last := c.State.History[len(c.State.History)-1]
		require.Equal(tr, store.HistoryEntry{Timestamp: last.Timestamp, From: from, To: c.State.CurrentState}, last)
		require.Equal(tr, last.Timestamp, c.State.UpdatedAt)
		return last.Timestamp
	}
	require.Equal(tr, at, moved(tr.claims("a", 1, store.Claim{To: store.InputStaged, At: at}), store.InputQueued))
	for range repeats(20) {
		var ready time.Time
		claimed := tr.served(claimOf(store.InputApplied), func() error {
			ready = time.Now()
			return tr.store.PersistInputState(tr.Context(), "b", inputAt(1, store.InputApplied))
		})
		when := moved(claimed, store.InputApplied).Time()
		require.False(tr, when.Before(ready.Round(0)), "made ready at %v, and claimed at %v", ready, when)
		require.WithinDuration(tr, time.Now(), when, time.Hour)
		tr.write(deleting("b"))
	}
}

// Some runtimes have more inputs than others, and one puts its input back each time.
func turnsAreFair(tr *trial) {
	tr.queuing()
	left := map[store.RuntimeID]int{"many": 9, "few": 2, "some": 5, "back": 100}
	line := []store.RuntimeID{"many", "few", "back", "some"}
	for _, id := range line {
		for n := range min(left[id], 10) {
			tr.move(id, store.InputQueued, byte(n))
		}
	}
	next := map[store.RuntimeID]byte{}
	for range 30 {
		id := line[0]
		line = line[1:]
		tr.claims(id, next[id], anyClaim)
		if id == "back" {
			tr.move(id, store.InputQueued, 0)
		} else {
			tr.move(id, store.InputConsumed, next[id])
			next[id]++
		}
		if left[id]--; left[id] > 0 {
			line = append(line, id)
		}
	}
}

func endedClaimsTakeNothing(tr *trial) {
	tr.queuing()
	for range 2 {
		before := tr.everything()
		for _, e := range tr.ended() {
			for _, c := range []store.Claim{anyClaim, claimOf(store.InputQueued), {}} {
				_, err := tr.tryClaim(e.ctx, c)
				tr.refused("ClaimNext", err, e.err)
			}
		}
		require.Equal(tr, before, tr.everything())
		tr.move("a", store.InputQueued, 1)
	}
	tr.claims("a", 1, anyClaim)
}

// lines makes runtimes in which something is ready or under way.
func (tr *trial) lines() (underWay state.Claimed) {
	tr.Helper()
	tr.queuing()
	tr.move("busy", store.InputQueued, 1, 2)
	tr.move("old", store.InputAccepted, 1)
	tr.move("b", store.InputQueued, 1, 2)
	tr.move("old", store.InputQueued, 3, 2)
	underWay = tr.claims("busy", 1, anyClaim)
	tr.claims("b", 1, anyClaim)
	tr.move("b", store.InputConsumed, 1)
	return underWay
}

func importsAreClaimed(tr *trial) {
	tr.lines()
	file := tr.export()
	tr.close()
	tr.queuing()
	got := tr.served(anyClaim, func() error {
		_, err := tr.store.(archiver).Import(tr.Context(), strings.NewReader(file))
		return err
	})
	require.EqualValues(tr, "old", got.RuntimeID)
	require.Equal(tr, tr.inputVersion("old", got.State.InputID), got.Version)
	tr.claims("b", 2, anyClaim)
	tr.nothingWaits("after an import")
	tr.move("busy", store.InputConsumed, 1)
	tr.claims("busy", 2, anyClaim)
}

func claimsAreThereAgain(tr *trial) {
	underWay := tr.lines()
	tr.move("new", store.InputApplied, 1)
	for range 2 {
		tr.reopen()
		require.Equal(tr, underWay.Version, tr.inputVersion("busy", store.InputID{1}))
		require.Equal(tr, textOf(underWay.State), textOf(tr.input("busy", store.InputID{1})))
	}
	tr.claims("b", 2, anyClaim) // what was stored first comes first
	tr.reopen()
	tr.claims("old", 3, anyClaim)
	tr.claims("new", 1, anyClaim)
	tr.reopen()
	tr.nothingWaits("after it was reopened")
	_, err := tr.tryBatch(batch.Batch{
		If:   []batch.Condition{batch.InputVersionIs{RuntimeID: "busy", InputID: store.InputID{1}, Version: underWay.Version}},
		Then: []batch.Write{putting("busy", inputAt(1, store.InputConsumed))},
	})
	require.NoError(tr, err, "a claim outlives the store that gave it")
	tr.claims("busy", 2, anyClaim)
	tr.nothingWaits("in the end")
}
