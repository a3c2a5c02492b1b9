package journaltest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store/journal"
)

// A Factory makes the engines that are tried.
type Factory struct {
	// Open returns an engine without any partition, which shares nothing with
	// any other.
	Open func(t testing.TB) journal.Engine

	// Reopen returns an engine that has what e kept. The suite has closed all
	// journals of e, and does not use e any more. If it is nil e itself is used
	// again.
	Reopen func(t testing.TB, e journal.Engine) journal.Engine

	// Crash returns an engine that has what the process of e would leave if it
	// ended now. e has open journals, which are closed later: they must not
	// disturb the new one. If it is nil, what is about crashes is skipped, unless
	// the engine takes partitions away: then it is opened over the old owner.
	Crash func(t testing.TB, e journal.Engine) journal.Engine

	// Exclusive says that the engine does not take a partition away from an
	// owner that is there: a second Open fails with journal.ErrInUse.
	Exclusive bool

	// Timeout is how long one promise may take: when it ends so does the context
	// of all calls. 0 means two minutes.
	Timeout time.Duration
}

// A chapter is a group of promises.
type chapter struct {
	name     string
	advice   string // what an engine does that keeps them
	promises []promise
}

// A promise is tried on an engine of its own.
type promise struct {
	words string
	try   func(*trial)
	lacks func(Factory) (missing string) // what it needs, nil if nothing
}

// chapters returns the whole suite. Closing is the last one, so that it sees
// what all others left behind.
func chapters() []chapter {
	return []chapter{
		{"appending", "Store all changes of a batch in one step, the last of each key, and count it.", appending()},
		{"durability", "Return from Append only when the batch outlives the process, and keep nothing else.", durability()},
		{"emission", "Walk what stands in the order of the bytes, and pass on the error of emit.", emission()},
		{"values", "Keep keys and values as bytes, any of them.", values()},
		{"limits", "Check a batch against the limits before anything of it is stored.", limits()},
		{"ownership", "Let one ownership at a time append, and count them.", ownership()},
		{"compaction", "Give back room, and change nothing that stands.", compaction()},
		{"partitions", "Keep partitions apart by every byte of their names.", partitions()},
		{"closing", "Give the partition up, and leave nothing behind.", closing()},
	}
}

// Run tries every promise of package journal, each in a subtest chapter/promise
// with an engine of its own. Because it looks for goroutines that are left
// behind, no other test may run at the same time. With -short it leaves out what
// is large.
func Run(t *testing.T, f Factory) {
	t.Helper()
	require.NotNil(t, f.Open, "journaltest: a Factory needs its Open")
	if f.Timeout <= 0 {
		f.Timeout = 2 * time.Minute
	}
	before := goleak.IgnoreCurrent()
	for _, c := range chapters() {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range c.promises {
				t.Run(p.words, func(t *testing.T) {
					if p.lacks != nil {
						if missing := p.lacks(f); missing != "" {
							t.Skipf("not tried: %s", missing)
						}
					}
					defer func() {
						if t.Failed() {
							t.Logf("journaltest: the rule is: %s. %s", p.words, c.advice)
						}
					}()
					try(t, f, before, p)
				})
			}
		})
	}
}

func noCrash(f Factory) string {
	if f.Crash == nil && f.Exclusive {
		return "the Factory has no Crash"
	}
	return ""
}

func exclusive(f Factory) string {
	if f.Exclusive {
		return "the engine does not take partitions away"
	}
	return ""
}

func fencing(f Factory) string {
	if !f.Exclusive {
		return "the engine takes partitions away"
	}
	return ""
}
