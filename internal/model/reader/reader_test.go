package reader

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/internal/model"
	"github.com/loopstore/loopstore/internal/model/modeltest"
)

func TestSmallProtocolsKeepThePromises(t *testing.T) {
	for _, p := range []Protocol{
		{Writes: 2, Readers: 2, Reads: 1},
		{Writes: 2, Readers: 1, Reads: 2, Shared: true},
		{Writes: 2, Readers: 1, Reads: 2, Group: 2},
		{Writes: 2, Watchers: 1, Group: 1, Shared: true},
		{Writes: 3, Watchers: 1},
		{Writes: 2, Readers: 1, Reads: 1, Watchers: 1, Calm: true},
		{Writes: 5, Readers: 1, Reads: 2, Calm: true},
		{Writes: 1, Readers: 3, Reads: 1, Calm: true},
	} {
		modeltest.Holds(t, p, Explore)
	}
}

// What is forgotten makes no difference.
func TestForgettingLosesNothing(t *testing.T) {
	for _, p := range []Protocol{
		{Writes: 2, Readers: 2, Reads: 1},
		{Writes: 1, Watchers: 2, Group: 1},
		{Writes: 1, Readers: 1, Reads: 2, Watchers: 1, Shared: true, Calm: true},
	} {
		few := modeltest.Holds(t, p, Explore)
		p.AllViews = true
		assert.Less(t, few.Visited, modeltest.Holds(t, p, Explore).Visited)
	}
}

// Each rule is left out in turn, in the smallest protocol that shows it.
func TestEveryRuleIsNeeded(t *testing.T) {
	const (
		stale     = "a read shows less than was known before it began"
		untold    = "who is woken by the end of a view does not see the write that ended it"
		half      = "a view shows what no batch has left"
		early     = "a view shows what may be taken back"
		over      = "the owner gives a view that is over"
		missed    = "a watcher waits for ever, though its view is over"
		late      = "a read is served after the end of the service"
		notNeeded = ""
	)
	read := Protocol{Writes: 2, Readers: 1, Reads: 2, Calm: true}
	share := Protocol{Writes: 2, Readers: 2, Reads: 1, Calm: true}
	watch := Protocol{Writes: 1, Watchers: 1, Calm: true}
	both := Protocol{Writes: 1, Readers: 1, Reads: 2, Watchers: 1, Calm: true}
	round := Protocol{Writes: 3, Readers: 1, Reads: 2, Group: 1, Calm: true}
	end := Protocol{Writes: 1, Readers: 1, Reads: 2}
	endRound := Protocol{Writes: 1, Readers: 1, Reads: 2, Group: 1}
	endWatch := Protocol{Writes: 1, Watchers: 1}
	breaks := modeltest.Breaks[Protocol]
	rules := map[string]modeltest.Rule[Protocol]{
		"ViewKept":           breaks(read, stale),
		"AbsenceKept":        breaks(read, stale),
		"ViewDropped":        breaks(read, over),
		"AbsenceDropped":     breaks(read, over),
		"ChangeEnds":         breaks(read, stale),
		"DeletionEnds":       breaks(read, stale),
		"AbsenceEnds":        breaks(read, stale),
		"OneSettle":          breaks(both, untold),
		"ViewsAfterSettle":   breaks(Protocol{Writes: 1, Readers: 2, Reads: 2, Calm: true}, stale),
		"OverBeforeAnswer":   breaks(read, stale),
		"AllOverFirst":       breaks(both, untold),
		"OverBeforeEnd":      breaks(watch, "the channel of a view is closed while that is current"),
		"EndSwapped":         breaks(watch, missed),
		"EndedOnce":          breaks(Protocol{Writes: 1, Watchers: 1, Group: 1}, "a channel is closed twice: that panics"),
		"Wakes":              breaks(watch, missed),
		"WakeAside":          breaks(endWatch, notNeeded), // it spares the owner time: ten thousand may wait
		"EndLoadedFirst":     breaks(endWatch, notNeeded), // it spares a channel: one that is there stays
		"EndCAS":             breaks(watch, missed),
		"EndReadAgain":       breaks(watch, missed),
		"DoneWhileWatching":  breaks(endWatch, missed),
		"AsksCurrent":        breaks(read, stale),
		"OwnersView":         breaks(share, stale),
		"KeepsLast":          breaks(end, notNeeded), // without a last view the owner is asked, and refuses
		"FailsClosed":        breaks(end, half),
		"EndAtLast":          breaks(end, late),
		"EndBeforeDone":      breaks(end, late),
		"EndBeforeFailure":   breaks(end, late),
		"EndCoversUnsettled": breaks(end, late),
		"EndCoversAbsences":  breaks(end, late),
		"EndCoversAdopted":   breaks(end, late),
		"EndCoversGroup":     breaks(endRound, late),
		"CloseWaitsForWakes": breaks(endWatch, "Close returns before all goroutines have ended"),
		"EndsAtCommit":       breaks(round, over),
		"LoadsWait":          breaks(round, early),
		"OthersMeanwhile":    breaks(round, "a read waits for ever"),
		"AppendAside":        breaks(round, "the owner is held up"),
		"ViewComesBack":      breaks(round, stale),
		"RejectedEndAbsence": breaks(round, stale),
	}
	modeltest.Rules(t, rules, func(p Protocol, most int) model.Report {
		few := Explore(p, most)
		p.AllViews = true
		assert.Equal(t, few.Violation, Explore(p, most).Violation, "what is forgotten changes the verdict")
		return few
	})
}

func TestTraceIsReadable(t *testing.T) {
	r := Explore(Protocol{Writes: 1, Readers: 1, Reads: 2, Watchers: 1, Calm: true, Without: Rules{AllOverFirst: true}}, 1<<20)
	assert.Equal(t, strings.TrimSpace(`
reader 1  begins to read A: loads the last view
owner     answers reader 1 with a view of A              it has m1 of write 0
reader 1  stores the owner's view, and returns it        the last of A is m1 of write 0
watcher 1 begins to watch B
owner     answers watcher 1 with a view of B             it has m2 of write 0
owner     takes a write: puts A, puts B                  write 1
owner     sets a flag                                    m2 over
owner     swaps an end                                   the end of m2 closed
watcher 1 loads the end of its view                      it waits
watcher 1 is woken, and looks again
reader 1  begins to read A: loads the last view          it has m1 of write 0
reader 1  finds that it is current, and returns it`), strings.Join(r.Trace, "\n"))
}
