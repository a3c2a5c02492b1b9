package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/demo"
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

func decoded(t *testing.T, stdout *bytes.Buffer) (r demo.Report) {
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
	for line := ""; !strings.Contains(line, ", which led the log of "); told.WriteString(line) {
		var err error
		line, err = stderr.ReadString('\n')
		require.NoError(t, err, told.String())
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(stderr)
	require.NoError(t, err)
	_ = cmd.Wait() // the error is the exit code
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), "%s%s%s", told.String(), rest, stdout)

	const partitions = 12
	r := decoded(t, stdout)
	require.True(t, r.OK)
	require.Nil(t, r.Journal)
	require.EqualValues(t, r.Turns, verifiedOf(r)["receipts"])
	c := r.Cluster
	require.Equal(t, []any{3, 3, partitions, "c"}, []any{c.Members, c.Servers, c.Partitions, c.Killed})
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
			require.Equal(t, partitions, open, "%+v", s)
		}
	}
	const killed = 2
	require.NotEmpty(t, c.Standings[0].Members[killed].Open)
	require.NotEmpty(t, c.Standings[1].Members[killed].Claimed, "nobody knows yet that it was killed")
	require.Empty(t, c.Standings[1].Members[killed].Open)
	require.Empty(t, c.Standings[2].Members[killed].Claimed)
	require.Equal(t, "c", c.Standings[3].Members[3].Member)
	require.NotEmpty(t, c.Standings[3].Members[3].Open)
}

func TestARunWithoutATakeOverHasFailed(t *testing.T) {
	cmd, stdout, stderr := child(t, "-cluster", "2", "-turns", "1", "-duration", "1s", "-quiet", "-json")
	said, err := io.ReadAll(stderr)
	require.NoError(t, err)
	_ = cmd.Wait() // the error is the exit code
	require.Equal(t, exitFailed, cmd.ProcessState.ExitCode())
	require.Equal(t, "note: 1s may be too short: a kill, the take-over and the stop of a server need about 10s\n", string(said))
	r := decoded(t, stdout)
	require.Equal(t, []string{"no take-over was seen: give it time with a longer -duration or more -turns"}, r.Errors)
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
		require.Equal(t, 3, s.Members)
		require.Equal(t, c.want, s.Duration, "%q", c.args)
		require.Len(t, s.notes, c.notes, "%q", c.args)
	}
}

func TestTheJSONOfAClusterIsDocumented(t *testing.T) {
	_, fields, _ := strings.Cut(demoNotes, "\n-json prints one object")
	cluster, ok := reflect.TypeFor[demo.Report]().FieldByName("Cluster")
	require.True(t, ok)
	names := 0
	var look func(of reflect.Type)
	look = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice:
			look(of.Elem())
		case reflect.Struct:
			for field := range of.Fields() {
				names++
				require.Regexp(t, `\b`+field.Tag.Get("json")+`\b`, fields)
				look(field.Type)
			}
		}
	}
	look(cluster.Type)
	require.Equal(t, 9+4+3+4, names)
}
