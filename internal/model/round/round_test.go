package round

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/internal/model/modeltest"
)

// Each rule of the code is left out in turn, in a small protocol.
func TestEveryRuleIsNeeded(t *testing.T) {
	const (
		lost      = "a caller waits for ever"
		unstored  = "a write is acknowledged that is not stored"
		stored    = "a write was refused and is stored"
		early     = "a load shows what may be taken back"
		notNeeded = ""
	)
	one := Protocol{Callers: 1, Calls: 1, Closes: true, Panics: true}
	two := Protocol{Callers: 2, Calls: 1, Closes: true, Panics: true}
	breaks := modeltest.Breaks[Protocol]
	rules := map[string]modeltest.Rule[Protocol]{
		"TakeCAS":        breaks(one, "the owner applies what was given up"),
		"OneRound":       breaks(two, "the owner applies a write twice"),
		"AppendFirst":    breaks(one, unstored),
		"LoadsWait":      breaks(two, early),
		"Rollback":       breaks(two, early),
		"Alone":          breaks(two, "a conflict is answered that nothing stored has caused"),
		"AgainFirst":     breaks(two, notNeeded),
		"StopServing":    breaks(two, early),
		"Unknown":        breaks(one, stored),
		"KnownUnchanged": breaks(two, "it is called unknown what became of a call that changed nothing"),
		"KnownFenced":    breaks(one, "the outcome of an append is called unknown that is known"),
		"LeaveWaits":     breaks(two, stored),
		"LeaveStored":    breaks(two, stored),
		"LeaveDenies":    breaks(two, unstored),
		"FenceWaits":     breaks(two, stored),
		"LeaveStands":    breaks(two, stored),
		"CurrentOnce":    breaks(two, "the owner answers twice"),
		"LeaveRound":     breaks(two, lost),
		"LeaveAgain":     breaks(two, lost),
		"LeaveQueues":    breaks(two, lost),
		"AnswerPanicked": breaks(one, lost),
		"CloseServes":    breaks(one, "a call is refused that stood before Close's request"),
		"FenceFirst":     breaks(one, "a write is acknowledged that a later holder has not found"),
	}
	modeltest.Rules(t, rules, Explore)
}

func TestNamesAreCounted(t *testing.T) {
	p := Protocol{Callers: 2, Calls: 1, Closes: true, Panics: true}
	few := modeltest.Holds(t, p, Explore)
	p.AllNames = true
	named := modeltest.Holds(t, p, Explore)
	assert.Equal(t, named.Visited, few.States)
	assert.Less(t, few.Visited, named.Visited)
}

func TestTraceIsReadable(t *testing.T) {
	r := Explore(Protocol{Callers: 1, Calls: 1, Without: Rules{Unknown: true}}, 1<<20)
	assert.Equal(t, strings.TrimSpace(`
caller 1  sends a write of A                             r1
owner     receives a write
owner     has gathered enough
owner     chooses a round
owner     takes a request                                r1 claimed
owner     begins a round
owner     applies a write                                held [1 0]
owner     has applied the round
append    fails, and has stored the round                journal [1 0]
append    says how the append has ended
owner     ends the service with the round
owner     refuses a write of the round                   r1 answered "refused"`), strings.Join(r.Trace, "\n"))
}
