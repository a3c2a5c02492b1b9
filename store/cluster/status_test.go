package cluster_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, faulty := aCrewThatFails(t, 4)
		faulty.NextOpen(journaltest.OpenFault{}, journaltest.FailOpen(journal.ErrCorrupt), held(nil, true))
		c.join("a")
		time.Sleep(time.Second)
		s := c.members["a"].Status()
		self := cluster.Member{Name: "a", Address: "a:1"}
		assert.Equal(t, self, s.Self)
		assert.Equal(t, []cluster.Member{self}, s.Members)
		assert.False(t, s.Lapsed)
		require.NoError(t, s.Directory)
		states := map[cluster.State]int{}
		for _, p := range s.Partitions {
			states[p.State]++
			assert.Equal(t, self, p.Holder)
			assert.Equal(t, p.State == cluster.Waiting, p.Err != nil)
		}
		assert.Equal(t, map[cluster.State]int{cluster.Opening: 1, cluster.Open: 2, cluster.Waiting: 1}, states)

		s.Members[0].Name = "changed"
		assert.Equal(t, "a", c.members["a"].Status().Members[0].Name)
		for _, p := range []int{-1, 4} {
			_, ok := c.members["a"].Local(p)
			assert.False(t, ok, p)
		}
	})
}

func TestStateNames(t *testing.T) {
	for state, name := range map[cluster.State]string{
		cluster.Unclaimed: "unclaimed", cluster.Elsewhere: "elsewhere", cluster.Opening: "opening", cluster.Open: "open",
		cluster.Closing: "closing", cluster.Waiting: "waiting", -1: "State(-1)", 6: "State(6)",
	} {
		assert.Equal(t, name, state.String())
	}
	assert.Equal(t, `"a"`, cluster.Member{Name: "a"}.String())
}

// A book is what a logger is told.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// broken is a logger's handler that panics.
type broken struct{ slog.Handler }

func (broken) Handle(context.Context, slog.Record) error { panic("no room") }

func TestLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 4)
		var b book
		logger := slog.New(slog.NewTextHandler(&b, nil))
		c.joinWith("a", func(o *cluster.Options) { o.Logger = logger })
		c.joinWith("b", func(o *cluster.Options) { o.Logger = slog.New(broken{logger.Handler()}) })
		time.Sleep(5 * lease)
		c.members["b"].line.cut()
		time.Sleep(3 * lease)
		assert.Equal(t, map[string]int{"a": 4, "b": 0}, c.counts())
		c.members["a"].line.cut()
		time.Sleep(lease)
		c.members["a"].line.mend()
		require.NoError(t, c.members["a"].Close())
		for _, told := range []string{
			`msg="partition opened" partition=0 took=0s cluster=c member=a`, `msg="partition closed" partition=3 cluster=c member=a`,
			`msg="claims changed" had=2 has=4`, `msg="member taken for dead" name=b address=b:1 partitions=2 `, `msg="directory not read" error="the line is cut"`,
		} {
			assert.Contains(t, b.text.String(), told)
		}
	})
}
