package crew

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
)

func TestWhatTheTableSaysOfACluster(t *testing.T) {
	c := &Report{
		Members: 2, Servers: 3, Partitions: 12, Killed: "b", FirstCommit: 2345 * time.Millisecond, Again: 1,
		Unknown: UnknownReport{4, 1, 2, 1},
		Standings: []Standing{{"b is killed", 2 * time.Second, []MemberReport{
			{"a", "local:1", []int{0, 3}, []int{0, 3}}, {"b", "local:2", []int{1}, nil},
		}}},
	}
	require.Equal(t, `
who serves what          member  address     claimed  open  partitions
2.0s b is killed         a       local:1           2     2  0 3
                         b       local:2           1     0  -
taken over: 2.35s from the kill of b to the first commit in a partition that it had served
stopped: no server, there was no time for it
made again: 1 call, since nothing had been applied or the outcome was unknown
unknown: 4 outcomes: 1 commit found stored, 2 found absent and made again; 1 other write made again, which changes nothing
`, c.Table())
	require.Equal(t, "cluster: 2 members of 12 partitions, kept by 3 NATS servers", c.String())
}

// What was under way when the member was lost may still have been its own work.
func TestATakeOverIsSeenByACommitThatBeganAfterTheLoss(t *testing.T) {
	const id = store.RuntimeID("agent-000")
	lost := map[int]bool{cluster.PartitionOf(id, partitions): true}
	var seen takeover
	during := func() {}
	w := witness{committing{during: func() { during() }}, &seen}
	commit := func(id store.RuntimeID) {
		_, err := w.CommitSessionBoundary(t.Context(), id, store.BoundaryCommit{})
		require.NoError(t, err)
	}
	during = func() { seen.lose(lost) }
	commit(id)
	require.Zero(t, seen.after(), "it was under way")
	during = func() {}
	for i := range 100 {
		if other := store.RuntimeID(fmt.Sprint("agent-", i)); !lost[cluster.PartitionOf(other, partitions)] {
			commit(other)
		}
	}
	require.Zero(t, seen.after(), "it is of another partition")
	commit(id)
	first := seen.after()
	require.Positive(t, first)
	commit(id)
	require.Equal(t, first, seen.after(), "only the first counts")
}

// A committing store does something during each commit.
type committing struct {
	store.RuntimeStore
	during func()
}

func (c committing) CommitSessionBoundary(context.Context, store.RuntimeID, store.BoundaryCommit) (store.RunBoundaryReceipt, error) {
	c.during()
	return store.RunBoundaryReceipt{}, nil
}
