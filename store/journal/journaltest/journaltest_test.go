package journaltest_test

import (
	"testing"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestMemory(t *testing.T) {
	for name, limits := range map[string]journal.Limits{
		"without limits": {},
		"with limits":    {KeyBytes: 60_000, ValueBytes: 200_000, BatchBytes: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			journaltest.Run(t, journaltest.Factory{Open: func(testing.TB) journal.Engine {
				e := journaltest.NewEngine()
				e.Limits = limits
				return e
			}})
		})
	}
}

// An engine behind one that has nothing to do keeps its promises.
func TestFaultyIsTransparent(t *testing.T) {
	journaltest.Run(t, journaltest.Factory{Open: func(testing.TB) journal.Engine {
		return journaltest.NewFaulty(journaltest.NewEngine())
	}})
}
