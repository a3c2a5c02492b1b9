package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
)

// child starts the command as a process of its own, since NATS servers leave
// goroutines behind.
func child(t *testing.T, args ...string) (cmd *exec.Cmd, stdout *bytes.Buffer, stderr *bufio.Reader) {
	t.Helper()
	if testing.Short() {
		t.Skip("it runs NATS servers for some seconds")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd, stdout = exec.CommandContext(t.Context(), self, append([]string{"demo"}, args...)...), new(bytes.Buffer)
	cmd.Env, cmd.Stdout = append(os.Environ(), asCommand+"=1"), stdout
	pipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return cmd, stdout, bufio.NewReader(pipe)
}

func decoded(t *testing.T, stdout *bytes.Buffer) (r report) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(stdout.Bytes()))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&r), stdout)
	return r
}

// It ends when all of the story is told, however long that takes.
func TestNothingIsLostWhenAMemberIsKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send an interrupt there")
	}
	cmd, stdout, stderr := child(t, "-cluster", "3", "-duration", "1h", "-runtimes", "40", "-json")
	var told strings.Builder
	for line := ""; !strings.Contains(line, " is stopped, which led "); told.WriteString(line) {
		var err error
		line, err = stderr.ReadString('\n')
		require.NoError(t, err, told.String())
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(stderr)
	require.NoError(t, err)
	_ = cmd.Wait() // the error is the exit code
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), "%s%s%s", told.String(), rest, stdout)

	r := decoded(t, stdout)
	require.True(t, r.OK)
	require.Nil(t, r.Journal)
	require.EqualValues(t, r.Turns, verifiedOf(r)["receipts"])
	c := r.Cluster
	require.Equal(t, []any{3, 3, crewPartitions, "c"}, []any{c.Members, c.Servers, c.Partitions, c.Killed})
	require.Regexp(t, `^node-[012]$`, c.LeaderStopped)
	require.Positive(t, c.FirstCommit)
	require.Positive(t, c.Again)
	require.Equal(t, c.Unknown.Calls, c.Unknown.Stored+c.Unknown.Absent+c.Unknown.Repeated)

	require.Len(t, c.Standings, 4)
	for i, moment := range []string{"at first", "c is killed", "taken over", "replaced"} {
		s := c.Standings[i]
		require.Equal(t, moment, s.Moment)
		open := 0
		for _, m := range s.Members {
			open += len(m.Open)
		}
		if i != 1 {
			require.Equal(t, crewPartitions, open, "%+v", s)
		}
	}
	killed := func(moment int) memberReport { return c.Standings[moment].Members[2] }
	require.NotEmpty(t, killed(0).Open)
	require.NotEmpty(t, killed(1).Claimed, "nobody knows yet that it was killed")
	require.Empty(t, killed(1).Open)
	require.Empty(t, killed(2).Claimed)
	require.Equal(t, "c", c.Standings[3].Members[3].Member)
	require.NotEmpty(t, c.Standings[3].Members[3].Open)
}

func TestARunWithoutATakeOverHasFailed(t *testing.T) {
	cmd, stdout, stderr := child(t, "-cluster", "2", "-turns", "1", "-duration", "1s", "-quiet", "-json")
	said, err := io.ReadAll(stderr)
	require.NoError(t, err)
	_ = cmd.Wait() // the error is the exit code
	require.Equal(t, exitFailed, cmd.ProcessState.ExitCode())
	require.Equal(t, "note: 1s may be too short: a kill, the take-over and the stop of a server need some 10s\n", string(said))
	r := decoded(t, stdout)
	require.Equal(t, []string{errNoTakeover.Error()}, r.Errors)
	require.Empty(t, r.Failures)
	require.Empty(t, r.Cluster.LeaderStopped)
}

func TestClusterFlags(t *testing.T) {
	for _, c := range []struct {
		args   []string
		stderr string
	}{
		{[]string{"-cluster", "1"}, "it must be a number from 2 to 9"},
		{[]string{"-cluster", "10"}, "it must be a number from 2 to 9"},
		{[]string{"-cluster", "three"}, "it must be a number from 2 to 9"},
		{[]string{"-cluster", "3", "-journal", "x.db"}, "-journal does not go with -cluster"},
		{[]string{"-export", "x.jsonl", "-cluster", "3"}, "-export does not go with -cluster"},
		{[]string{"-cluster", "3", "-http", ":0"}, "-http does not go with -cluster"},
	} {
		code, stdout, stderr := shell(t.Context(), append([]string{"demo"}, c.args...)...)
		require.Equal(t, exitUsage, code, "%q", c.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.stderr)
	}
	for _, c := range []struct {
		args  []string
		want  time.Duration
		notes int
	}{
		{nil, defaultClusterDuration, 0},
		{[]string{"-turns", "9"}, 0, 0},
		{[]string{"-duration", "10s"}, 10 * time.Second, 0},
		{[]string{"-duration", "9s"}, 9 * time.Second, 1},
	} {
		s, _ := parsed(t, append([]string{"-cluster", "3"}, c.args...)...)
		require.Equal(t, 3, s.cluster)
		require.Equal(t, c.want, s.duration, "%q", c.args)
		require.Len(t, s.notes, c.notes, "%q", c.args)
	}
}

func TestTheJSONOfAClusterIsDocumented(t *testing.T) {
	_, fields, _ := strings.Cut(demoNotes, "\n-json prints one object")
	text, err := json.Marshal(report{Cluster: &clusterReport{Standings: []standing{{Members: []memberReport{{}}}}}})
	require.NoError(t, err)
	var r struct{ Cluster map[string]any }
	require.NoError(t, json.Unmarshal(text, &r))
	names := 0
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				names++
				require.Regexp(t, `\b`+name+`\b`, fields)
				look(inner)
			}
		case []any:
			look(v[0])
		}
	}
	look(r.Cluster)
	require.Equal(t, 9+4+3+4, names)
}

func TestWhatTheTableSaysOfACluster(t *testing.T) {
	c := &clusterReport{
		Members: 2, Servers: 3, Partitions: 12, Killed: "b", FirstCommit: 2345 * time.Millisecond, Again: 1,
		Unknown: unknownReport{4, 1, 2, 1},
		Standings: []standing{{"b is killed", 2 * time.Second, []memberReport{
			{"a", "local:1", []int{0, 3}, []int{0, 3}}, {"b", "local:2", []int{1}, nil},
		}}},
	}
	var t1 strings.Builder
	c.write(&t1)
	require.Equal(t, `
who serves what          member  address     claimed  open  partitions
2.0s b is killed         a       local:1           2     2  0 3
                         b       local:2           1     0  -
taken over: 2.35s from the kill of b to the first commit in a partition that it had served
stopped: no server, there was no time for it
made again: 1 call, since nothing had been applied or the outcome was unknown
unknown: 4 outcomes, of these 1 commit found stored, 2 found absent and made again; 1 other write made again, which leaves the same
`, t1.String())
	require.Equal(t, "cluster: 2 members of 12 partitions, kept by 3 NATS servers", c.String())
}

// What was under way when the member was lost may still have been its own work.
func TestATakeOverIsSeenByACommitThatBeganAfterTheLoss(t *testing.T) {
	const id = store.RuntimeID("agent-000")
	lost := map[int]bool{cluster.PartitionOf(id, crewPartitions): true}
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
		if other := idOf(i); !lost[cluster.PartitionOf(other, crewPartitions)] {
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
