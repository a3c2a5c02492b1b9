package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/demo"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// reported runs the demo with -json and returns what it reports.
func reported(t *testing.T, args ...string) (code int, r demo.Report) {
	t.Helper()
	code, stdout, stderr := shell(t.Context(), append([]string{"demo", "-quiet", "-json"}, args...)...)
	dec := json.NewDecoder(strings.NewReader(stdout))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&r), stderr)
	return code, r
}

// opened opens the journal of the demo. The caller closes it.
func opened(t *testing.T, dir string) *loopstore.Loop {
	t.Helper()
	loop, err := loopstore.Open(t.Context(), disk.New(dir, disk.Options{}), "demo", loopstore.Options{})
	require.NoError(t, err)
	return loop
}

// verifiedOf returns how many of each kind were checked.
func verifiedOf(r demo.Report) map[string]int {
	counts := map[string]int{}
	for _, c := range r.Verified {
		counts[c.Name] = c.Checked
	}
	return counts
}

// The real thing: processes that are killed at any moment, and one that is not.
func TestGoesOnAfterKills(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process that is killed there says so in another way")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "journal")
	child := func(ctx context.Context, duration string) (code int, stdout bytes.Buffer) {
		cmd := exec.CommandContext(ctx, self, "demo", "-journal", dir, "-runtimes", "12", "-duration", duration, "-quiet", "-json")
		cmd.Env = append(os.Environ(), asCommand+"=1")
		cmd.Stdout = &stdout
		require.NoError(t, cmd.Start())
		_ = cmd.Wait() // the error is the exit code
		return cmd.ProcessState.ExitCode(), stdout
	}
	for range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10+rand.IntN(200))*time.Millisecond)
		code, stdout := child(ctx, "1h")
		cancel()
		require.Negative(t, code, "it was not killed but ended: %s", &stdout)
	}
	code, stdout := child(t.Context(), "300ms")
	require.Equal(t, cli.OK, code, &stdout)
	var r demo.Report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
	require.Positive(t, r.Turns)
	t.Logf("%s", r.Journal.Found)
	counts := verifiedOf(r)
	require.Equal(t, r.Journal.Found.Runtimes, counts["found"])
	require.GreaterOrEqual(t, counts["receipts"], r.Journal.Found.Receipts+int(r.Turns)-r.Journal.Found.InTurn)
	code, verified, stderr := shell(t.Context(), "verify", dir)
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `(?m)^receipts +`+term.Grouped(int64(counts["receipts"]))+`  `, verified)
}

func TestJournalIsReported(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	code, stdout, stderr := shell(t.Context(), "demo", "-journal", dir, "-runtimes", "2", "-turns", "3")
	require.Equal(t, cli.OK, code, stdout+stderr)
	require.Equal(t, "found: nothing, the journal is new\n", stderr)
	require.Contains(t, stdout, "\nfound: nothing, the journal is new\n\n")
	require.Regexp(t, `(?m)^journal: \d+ appends of 1\.\d operations and \d+ bytes, [\d.]+[mµ]s each on average$`, stdout)
	require.Contains(t, stdout, "\na write waits for its append, which callers share")
	require.NotContains(t, stdout, "waiting for a CPU")

	code, r := reported(t, "-journal", dir, "-runtimes", "2", "-turns", "4", "-callers", "1")
	require.Equal(t, cli.OK, code)
	found := r.Journal.Found
	require.Equal(t, []int{2, 0, 6, 8}, []int{found.Runtimes, found.InTurn, found.Receipts, found.Inputs})
	require.EqualValues(t, 2, r.Turns)
	require.Equal(t, r.Journal.Appends, r.Journal.Operations, "one caller, one operation at a time")
	require.EqualValues(t, 2*(2+3+1+1+1), r.Journal.Appends, "recovering, running, an input, a boundary, its end, stopped")
	require.InDelta(t, 1, r.Journal.OperationsPerAppend, 0)
	require.Positive(t, r.Journal.Bytes)
	require.Positive(t, r.Journal.Append)
	require.Equal(t, map[string]int{
		"receipts": 8, "digests": 2 + 2, "sequences": 2, "inputs": 10, "snapshots": 2, "runtime_states": 2, "restarts": 2, "found": 2,
	}, verifiedOf(r))

	code, r = reported(t, "-journal", dir, "-runtimes", "2", "-turns", "4")
	require.Equal(t, cli.OK, code, "nothing is left to do, and that is no failure")
	require.Zero(t, r.Turns)
	require.Zero(t, r.Journal.Appends)
	require.Equal(t, 8, verifiedOf(r)["receipts"])
}

func TestTheJSONOfAJournalIsDocumented(t *testing.T) {
	_, stdout, _ := shell(t.Context(), "demo", "-journal", filepath.Join(t.TempDir(), "journal"), "-runtimes", "1", "-turns", "1", "-quiet", "-json")
	var r struct{ Journal map[string]any }
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	_, help, _ := shell(t.Context(), "demo", "-h")
	_, fields, _ := strings.Cut(help, "\n--json prints one object")
	names := slices.Collect(maps.Keys(r.Journal))
	require.Len(t, names, 6)
	for name := range r.Journal["found"].(map[string]any) {
		names = append(names, name)
	}
	for _, name := range append(names, "journal") {
		require.Regexp(t, `\b`+name+`\b`, fields)
	}
}

// What was found is worked on whatever the flags of this process are.
func TestFlagsMayDifferFromThoseBefore(t *testing.T) {
	dir, folder := filepath.Join(t.TempDir(), "journal"), t.TempDir()
	code, _ := reported(t, "-journal", dir, "-runtimes", "9", "-turns", "3")
	require.Equal(t, cli.OK, code)
	code, r := reported(t, "-journal", dir, "-runtimes", "2", "-turns", "4")
	require.Equal(t, cli.OK, code, "%v%v", r.Errors, r.Failures)
	require.Equal(t, 9, r.Runtimes, "fewer")
	require.EqualValues(t, 9, r.Turns)
	code, r = reported(t, "-journal", dir, "-runtimes", "11", "-turns", "2")
	require.Equal(t, cli.OK, code, "%v%v", r.Errors, r.Failures)
	require.Equal(t, 11, r.Runtimes, "more")
	require.EqualValues(t, 2*2, r.Turns, "only of the new ones, the others have had more")

	text, err := os.ReadFile("../internal/demo/conversations/travel-booking.json")
	require.NoError(t, err)
	spaced := filepath.Join(folder, "spaced.json")
	require.NoError(t, os.WriteFile(spaced, bytes.ReplaceAll(text, []byte(`"role":`), []byte(`"role" : `)), 0o600))
	for _, turns := range []string{"9", "10"} {
		code, r = reported(t, "-journal", dir, "-turns", turns, "-runtimes", "11", spaced)
		require.Equal(t, cli.OK, code, "another file: %v%v", r.Errors, r.Failures)
	}
	require.EqualValues(t, 11, r.Turns)
	require.Equal(t, 11+11, verifiedOf(r)["digests"], "they are conversations of this file by now")
	code, r = reported(t, "-journal", dir, "-turns", "20", "-runtimes", "11")
	require.Equal(t, cli.OK, code, "and back: %v%v", r.Errors, r.Failures)
	require.Equal(t, 11*10, verifiedOf(r)["digests"], "of what was found nobody knows the document")
}

func TestJournalThatCannotBeHad(t *testing.T) {
	folder := t.TempDir()
	held := filepath.Join(folder, "held")
	code, r := reported(t, "-journal", held, "-runtimes", "5", "-turns", "5")
	require.Equal(t, cli.OK, code, r.Errors)
	corrupt, other := filepath.Join(folder, "corrupt"), filepath.Join(folder, "other")
	require.NoError(t, os.CopyFS(corrupt, os.DirFS(held)))
	log := filepath.Join(corrupt, "log-0000000000000001")
	whole, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(whole), `"role"`)
	require.NoError(t, os.WriteFile(log, bytes.ReplaceAll(whole, []byte(`"role"`), []byte(`"rule"`)), 0o600))
	require.NoError(t, os.WriteFile(other, bytes.Repeat([]byte("\"role\"\n"), 5000), 0o600))

	loop := opened(t, held)
	for file, reason := range map[string]string{
		held: "in use", corrupt: "corrupt", other: "loopstore carry", earlier(t): "loopstore carry",
		filepath.Join(folder, "no", "directory"): "no such file",
	} {
		code, stdout, stderr := shell(t.Context(), "demo", "-journal", file, "-turns", "1", "-quiet")
		require.Equal(t, cli.ExitFailed, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "loopstore demo: loopstore: opening partition \"demo\": ")
		require.Contains(t, stderr, file)
		require.Contains(t, stderr, reason)
		require.NotContains(t, stderr, "role")
		require.NotContains(t, stderr, "rule")
	}
	require.NoError(t, loop.Close())
}

// What a journal holds is compared before anything is changed.
func TestChangesNothingThatIsNotItsOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	loop := opened(t, dir)
	require.NoError(t, loop.PersistRuntimeState(t.Context(), "somebody", store.RuntimeRunning))
	require.NoError(t, loop.Close())
	code, r := reported(t, "-journal", dir, "-turns", "1")
	require.Equal(t, cli.ExitFailed, code)
	require.Equal(t, []string{"the journal is not as the demo leaves it: nothing was changed"}, r.Errors)
	require.Equal(t, []string{"found: runtime somebody is none of the demo's"}, r.Failures)
	require.Zero(t, r.Journal.Appends)
}
