package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/demo"
)

// Five runtimes take three turns each, the third with two inputs. One of them
// restarts in its third turn and finds these two.
func TestSmallRunAddsUp(t *testing.T) {
	code, stdout, stderr := shell(t.Context(), "demo", "-runtimes", "5", "-turns", "3", "-quiet", "-json")
	require.Equal(t, cli.OK, code, stdout)
	require.Empty(t, stderr, "fewer callers than the default are not worth a note")

	var r demo.Report
	dec := json.NewDecoder(strings.NewReader(stdout))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&r))
	require.True(t, r.OK)
	require.False(t, r.Interrupted)
	require.Equal(t, 5, r.Runtimes)
	require.Equal(t, 5, r.Callers, "no more than runtimes")
	require.EqualValues(t, 15, r.Turns)
	require.Positive(t, r.SnapshotBytes)
	require.Positive(t, r.HeapBytes)
	require.Empty(t, r.NotCanonical)
	require.Empty(t, r.Errors)
	require.Empty(t, r.Failures)

	counts := map[string]uint64{}
	for _, o := range r.Operations {
		counts[o.Operation] = o.Count
		require.LessOrEqual(t, o.P50, o.P99)
		require.LessOrEqual(t, o.P99, o.Max)
	}
	require.Equal(t, map[string]uint64{ // without the calls of the checks
		"commit_session_boundary": 15,
		"atomic_lifecycle_commit": 15,
		"persist_input_state":     5*4*3 + 2,
		"persist_runtime_state":   5*4 + 2,
		"load_input_state":        5 * 4,
		"load_input_states":       5 + 1,
		"load_runtime_state":      5 + 1,
		"load_boundary_receipt":   1,
		"load_session_snapshot":   1,
	}, counts)

	verified := map[string]int{}
	for _, c := range r.Verified {
		verified[c.Name] = c.Checked
		require.Zero(t, c.Failed)
	}
	require.Equal(t, map[string]int{
		"receipts": 15, "digests": 15, "sequences": 5, "inputs": 20,
		"snapshots": 5, "runtime_states": 5, "restarts": 1,
	}, verified)
}

func TestNothingDoneIsAFailure(t *testing.T) {
	for _, format := range []string{"-json=false", "-json"} {
		code, stdout, _ := shell(t.Context(), "demo", "-duration", "1ns", "-quiet", format)
		require.Equal(t, cli.ExitFailed, code, stdout)
		require.Contains(t, stdout, "nothing was done")
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	code, stdout, _ := shell(interrupted, "demo", "-quiet", "-json")
	require.Equal(t, cli.ExitFailed, code, "although it was interrupted")

	var r demo.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.False(t, r.OK)
	require.Len(t, r.Errors, 1)
	require.Zero(t, r.Turns)
	require.Empty(t, r.Operations)
}

func TestJSONNamesAreStable(t *testing.T) {
	_, stdout, _ := shell(t.Context(), "demo", "-runtimes", "1", "-turns", "1", "-quiet", "-json")
	var r map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	names := func(v any) (all []string) {
		for name := range v.(map[string]any) {
			all = append(all, name)
		}
		return all
	}
	top := names(r)
	operation := names(r["operations"].([]any)[0])
	check := names(r["verified"].([]any)[0])
	require.ElementsMatch(t, []string{
		"runtimes", "callers", "gomaxprocs", "elapsed_ns", "interrupted", "turns", "snapshot_bytes", "heap_bytes", "operations",
		"verified", "check_elapsed_ns", "not_canonical", "errors", "failures", "ok",
	}, top)
	require.ElementsMatch(t, []string{"operation", "count", "per_second", "p50_ns", "p99_ns", "max_ns"}, operation)
	require.ElementsMatch(t, []string{"check", "checked", "failed"}, check)

	_, help, _ := shell(t.Context(), "demo", "-h")
	_, fields, ok := strings.Cut(help, "\n--json prints one object")
	require.True(t, ok)
	for _, name := range slices.Concat(top, operation, check) {
		require.Regexp(t, `\b`+name+`\b`, fields, "-h does not say what it is")
	}
}

func TestTable(t *testing.T) {
	code, stdout, _ := shell(t.Context(), "demo", "-runtimes", "2", "-turns", "1", "-quiet")
	require.Equal(t, cli.OK, code, stdout)
	require.Regexp(t, `^2 runtimes, 2 callers, GOMAXPROCS \d+: 2 turns in `, stdout)
	require.Regexp(t, `(?m)^held: \d+ [KM]B of heap for 2 receipts and 2 inputs,$`, stdout)
	require.Regexp(t, `(?m)^commit_session_boundary +2 `, stdout)
	require.Regexp(t, `(?m)^receipts +2 +0 `, stdout)
	require.True(t, strings.HasSuffix(stdout, "\nok\n"), stdout)
}

// A canceller cancels once something was written to it.
type canceller struct {
	bytes.Buffer
	cancel context.CancelFunc
}

func (c *canceller) Write(p []byte) (int, error) {
	c.cancel()
	return c.Buffer.Write(p)
}

func TestInterruptEndsCleanlyAndIsChecked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &canceller{cancel: cancel} // on the first line of progress
	var stdout bytes.Buffer
	require.Equal(t, cli.ExitInterrupted, cli.Run(ctx, newRoot(), []string{"demo", "-duration", "1h", "-json"}, nil, &stdout, stderr))
	require.Contains(t, stderr.String(), "interrupted")

	var r demo.Report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
	require.True(t, r.Interrupted)
	require.True(t, r.OK)
	require.Positive(t, r.Turns)
	require.EqualValues(t, r.Turns, verifiedOf(r)["receipts"])
	require.Equal(t, r.Runtimes, verifiedOf(r)["runtime_states"])
}

func TestRefusesWhatIsNoSession(t *testing.T) {
	for text, reason := range map[string]string{
		`{"id":"0197f3a2-5c1e-7b40-9d11-6a0c2f4e8b01","messages":[{"role":"nobody"}]}`: "not a session document",
		`not JSON`: "not a session document",
		`{"id":"0197f3a2-5c1e-7b40-9d11-6a0c2f4e8b01","messages":[],"created_at":{"secs_since_epoch":1,"nanos_since_epoch":0},"updated_at":{"secs_since_epoch":1,"nanos_since_epoch":0}}`: "has no messages",
	} {
		path := filepath.Join(t.TempDir(), "broken.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		code, stdout, stderr := shell(t.Context(), "demo", path)
		require.Equal(t, cli.ExitMisuse, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, path)
		require.Contains(t, stderr, reason)
	}
}

func TestTakesTheUsersFiles(t *testing.T) {
	text, err := os.ReadFile("../internal/demo/conversations/travel-booking.json")
	require.NoError(t, err)
	canonical, spaced := filepath.Join(t.TempDir(), "canonical.json"), filepath.Join(t.TempDir(), "spaced.json")
	require.NoError(t, os.WriteFile(canonical, text, 0o600))
	text = bytes.ReplaceAll(text, []byte(`"role":`), []byte(`"role" : `))
	require.NoError(t, os.WriteFile(spaced, text, 0o600))

	const sums = "SHA-256 and count, "
	for _, c := range []struct {
		files   []string
		digests string
	}{
		{[]string{canonical}, sums + "computed apart"},
		{[]string{canonical, spaced}, "computed apart, but for the files below"},
		{[]string{spaced}, sums + "by package session"},
	} {
		code, stdout, _ := shell(t.Context(), append([]string{"demo", "-runtimes", "10", "-turns", "20", "-quiet"}, c.files...)...)
		require.Equal(t, cli.OK, code, stdout)
		require.Regexp(t, `(?m)^digests +200 +0  `+c.digests+`$`, stdout)
		require.Equal(t, slices.Contains(c.files, spaced), strings.Contains(stdout, "note: "+spaced+" is not canonical"))
		require.NotContains(t, stdout, "note: "+canonical)
	}
}

// TestAgents kills a process with agents, which is this binary.
func TestAgents(t *testing.T) {
	t.Setenv(asCommand, "1")
	dir := t.TempDir()
	code, stdout, stderr := shell(t.Context(), "demo", "--agent", dir, "--kills", "3")
	require.Equal(t, cli.OK, code, stdout+stderr)
	require.Regexp(t, `(?m)^tool calls +400 +0 +0$`, stdout)
	require.True(t, strings.HasSuffix(stdout, "\nok\n"), stdout)
	require.Contains(t, stderr, "killed 3 of 3 times: ")

	code, stdout, stderr = shell(t.Context(), "demo", "--agent", dir, "--kills", "0", "--quiet", "--json")
	require.Equal(t, cli.OK, code, stdout)
	require.Empty(t, stderr)
	var o map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &o))
	require.Equal(t, map[string]any{"count": 800.0, "lost": 0.0, "doubled": 0.0}, o["inputs"], "it goes on")
	_, help, _ := shell(t.Context(), "demo", "-h")
	_, fields, ok := strings.Cut(help, "\nWith --agent it prints")
	require.True(t, ok)
	for name := range o {
		require.Regexp(t, `\b`+name+`\b`, fields, "-h does not say what it is")
	}

	t.Chdir(t.TempDir())
	code, stdout, stderr = shell(t.Context(), "demo", "--agent=-dash", "--kills", "0", "--quiet")
	require.Equal(t, cli.OK, code, stdout+stderr)

	code, stdout, _ = shell(t.Context(), "verify", filepath.Join(dir, "state"))
	require.Equal(t, cli.OK, code, stdout)

	// What is wrong is a failure.
	book := filepath.Join(dir, "notebook")
	text, err := os.ReadFile(book)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(book, append(text, text...), 0o600))
	code, stdout, _ = shell(t.Context(), "demo", "--agent", dir, "--kills", "0", "--quiet")
	require.Equal(t, cli.ExitFailed, code, stdout)
	require.True(t, strings.HasSuffix(stdout, "\nFAILED\n"), stdout)
}

func TestAgentsAreAskedForRightly(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--kills", "3"}, "--kills goes with --agent"},
		{[]string{"--agent", dir, "--runtimes", "3"}, "--runtimes does not go with --agent"},
		{[]string{"--agent", dir, "x.json"}, "takes no files"},
		{[]string{"--agent", ""}, "needs a directory"},
		{[]string{"--agent", dir, "--kills", "-1"}, "must be from 0 to 1000"},
		{[]string{"--agent", dir, "--kills", "1001"}, "must be from 0 to 1000"},
	} {
		code, _, stderr := shell(t.Context(), append([]string{"demo"}, c.args...)...)
		require.Equal(t, cli.ExitMisuse, code, "%q", c.args)
		require.Contains(t, stderr, c.says)
	}
}
