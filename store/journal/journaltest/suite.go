package journaltest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store/journal"
)

// A Factory makes the engines that [Run] tests.
type Factory struct {
	// Open returns an engine without partitions, which shares nothing with any
	// other.
	Open func(t testing.TB) journal.Engine

	// Reopen returns an engine on what e has stored. The suite has closed all
	// journals of e, and no longer uses e. If Reopen is nil, e is used again.
	Reopen func(t testing.TB, e journal.Engine) journal.Engine

	// Crash returns an engine on what would be left if the process of e ended
	// now. The open journals of e are closed later; they must not disturb the new
	// engine. If Crash is nil, the promises about crashes are skipped, unless
	// the engine takes partitions away: then e itself opens them again.
	Crash func(t testing.TB, e journal.Engine) journal.Engine

	// Exclusive says that the engine does not take a partition away from its
	// holder: a second Open fails with journal.ErrInUse.
	Exclusive bool

	// Timeout bounds the test of one promise: the context of all its calls ends
	// then. 0 means two minutes.
	Timeout time.Duration
}

// A chapter is a group of promises.
type chapter struct {
	name     string
	advice   string // how an engine keeps them
	promises []promise
}

// A promise is tested on an engine of its own.
type promise struct {
	words string
	try   func(*trial)
	lacks func(Factory) (missing string) // nil if every Factory can test it
}

// chapters returns the whole suite. Closing comes last, so that it sees what the
// others left behind.
func chapters() []chapter {
	return []chapter{
		{"appending", "Store all changes of a batch in one step, the last one of each key, and count the batch.", appending()},
		{"durability", "Return from Append only when the batch outlives the process, and store nothing else.", durability()},
		{"emission", "Emit what stands in the order of the bytes, and pass on the error of emit.", emission()},
		{"values", "Keep keys and values as bytes, any of them.", values()},
		{"limits", "Check a batch against the limits before anything of it is stored.", limits()},
		{"holding", "Let only the latest Open append, and count the Opens.", holding()},
		{"compaction", "Free room, and change nothing that stands.", compaction()},
		{"partitions", "Keep partitions apart by every byte of their names.", partitions()},
		{"closing", "Give the partition up, and leave nothing behind.", closing()},
	}
}

// Run tests every promise of package journal, each in a subtest chapter/promise
// with an engine of its own. No other test may run at the same time, because Run
// looks for leaked goroutines. With -short it leaves out large values.
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
							t.Skipf("not tested: %s", missing)
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
