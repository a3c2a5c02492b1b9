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
		assert.Equal(t, "c", s.Cluster)
		assert.Equal(t, lease, s.Lease)
		require.Len(t, s.Members, 1)
		assert.Equal(t, self, s.Members[0].Member)
		assert.Equal(t, time.Now().Add(-time.Second), s.Members[0].Beat)
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

// Any member tells what it has seen of the others: their beats, who holds what since
// when, who held it before, who died and who left.
func TestStatusTellsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 6)
		c.join("a", "b", "c")
		time.Sleep(5 * lease)
		member := func(name string) cluster.Member { return cluster.Member{Name: name, Address: name + ":1"} }
		joined := time.Now()
		for name, h := range c.members {
			s := h.Status()
			require.Len(t, s.Members, 3)
			for _, m := range s.Members {
				assert.LessOrEqual(t, time.Since(m.Beat), lease/3, "what %s says of %s", name, m.Name)
			}
			assert.Empty(t, s.Gone)
		}
		lost, kept := c.members["c"].open(), c.members["b"].open()
		before := map[string]cluster.Status{"a": c.members["a"].Status(), "b": c.members["b"].Status()}
		c.members["c"].line.cut()
		time.Sleep(3 * lease)
		for _, name := range []string{"a", "b"} {
			s := c.members[name].Status()
			require.Len(t, s.Gone, 1)
			assert.Equal(t, member("c"), s.Gone[0].Member)
			assert.Equal(t, len(lost), s.Gone[0].Partitions)
			assert.True(t, s.Gone[0].Died(s.Lease), "it was silent for %v, as %s has seen it", s.Gone[0].Silent, name)
			assert.InDelta(t, joined.Add(lease*8/5).Unix(), s.Gone[0].Seen.Unix(), lease.Seconds()/3)
			for _, p := range lost {
				assert.Equal(t, member("c"), s.Partitions[p].Before)
				assert.Equal(t, before[name].Partitions[p].Moves+1, s.Partitions[p].Moves, "%s tells of partition %d", name, p)
				assert.True(t, s.Partitions[p].Since.After(joined.Add(lease)))
			}
			for _, p := range kept {
				assert.Equal(t, member("b"), s.Partitions[p].Holder)
				assert.True(t, s.Partitions[p].Since.Before(joined))
			}
		}

		c.members["c"].line.mend()
		time.Sleep(5 * lease)
		s := c.members["c"].Status()
		require.Len(t, s.Gone, 1, "it hears of its own death")
		assert.Equal(t, member("c"), s.Gone[0].Member)
		assert.True(t, s.Gone[0].Died(lease))

		held := c.members["b"].open()
		require.NoError(t, c.members["b"].Close())
		time.Sleep(lease / 2)
		for _, name := range []string{"a", "c"} {
			s := c.members[name].Status()
			require.Len(t, s.Gone, 2)
			assert.Equal(t, member("b"), s.Gone[1].Member)
			assert.False(t, s.Gone[1].Died(lease), "it has left")
			for _, p := range held {
				assert.Equal(t, member("b"), s.Partitions[p].Before)
			}
		}

		for i := range 20 { // those who come and go are not remembered for ever
			name := string(rune('d' + i))
			c.join(name)
			time.Sleep(lease / 2)
			require.NoError(t, c.members[name].Close())
			time.Sleep(lease / 2)
		}
		gone := c.members["a"].Status().Gone
		require.Len(t, gone, 16)
		assert.Equal(t, "w", gone[15].Name)
		gone[15].Name = "changed"
		assert.Equal(t, "w", c.members["a"].Status().Gone[15].Name)
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
