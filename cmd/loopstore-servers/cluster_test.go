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

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/demo"
	"github.com/loopstore/loopstore/cmd/loopstore-servers/internal/crew"
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

func decoded(t *testing.T, stdout *bytes.Buffer) (demo.Report, *crew.Report) {
	t.Helper()
	c := new(crew.Report)
	r := demo.Report{Cluster: c}
	dec := json.NewDecoder(bytes.NewReader(stdout.Bytes()))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&r), stdout)
	return r, c
}

// It ends when all of the story is told, however long that takes.
func TestNothingIsLostWhenAMemberIsKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send an interrupt there")
	}
	cmd, stdout, stderr := child(t, "-duration", "1h", "-runtimes", "40", "-json")
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
	require.Equal(t, cli.ExitInterrupted, cmd.ProcessState.ExitCode(), "%s%s%s", told.String(), rest, stdout)

	const partitions = 12
	r, c := decoded(t, stdout)
	require.True(t, r.OK)
	require.Nil(t, r.Journal)
	require.Equal(t, "receipts", r.Verified[0].Name)
	require.EqualValues(t, r.Turns, r.Verified[0].Checked)
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
	cmd, stdout, stderr := child(t, "-members", "2", "-turns", "1", "-duration", "1s", "-quiet", "-json")
	said, err := io.ReadAll(stderr)
	require.NoError(t, err)
	_ = cmd.Wait() // the error is the exit code
	require.Equal(t, cli.ExitFailed, cmd.ProcessState.ExitCode())
	require.Equal(t, "note: 1s may be too short: a kill, the take-over and the stop of a server need about 10s\n", string(said))
	r, c := decoded(t, stdout)
	require.Equal(t, []string{"no take-over was seen: give it time with a longer --duration or more --turns"}, r.Errors)
	require.Empty(t, r.Failures)
	require.Empty(t, c.LeaderStopped)
}

func TestClusterFlags(t *testing.T) {
	for _, c := range []struct {
		args   []string
		stderr string
	}{
		{[]string{"-members", "1"}, "--members is 1, and must be from 2 to 9"},
		{[]string{"-members", "10"}, "--members is 10, and must be from 2 to 9"},
		{[]string{"-members", "three"}, "--members"},
		{[]string{"-journal", "x.db"}, "-journal"},
	} {
		code, stdout, stderr := shell(t.Context(), append([]string{"demo"}, c.args...)...)
		require.Equal(t, cli.ExitMisuse, code, "%q", c.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.stderr)
	}
}

func TestTheJSONOfAClusterIsDocumented(t *testing.T) {
	names := 0
	var look func(of reflect.Type)
	look = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice:
			look(of.Elem())
		case reflect.Struct:
			for field := range of.Fields() {
				names++
				require.Regexp(t, `\b`+field.Tag.Get("json")+`\b`, clusterFields)
				look(field.Type)
			}
		}
	}
	look(reflect.TypeFor[*crew.Report]())
	require.Equal(t, 9+4+3+4, names)
}
