package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
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
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// reported runs the demo with -json and returns what it reports.
func reported(t *testing.T, args ...string) (code int, r report) {
	t.Helper()
	code, stdout, stderr := shell(t.Context(), append([]string{"demo", "-quiet", "-json"}, args...)...)
	dec := json.NewDecoder(strings.NewReader(stdout))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&r), stderr)
	return code, r
}

// verifiedOf returns how many of each kind were checked.
func verifiedOf(r report) map[string]int {
	counts := map[string]int{}
	for _, c := range r.Verified {
		counts[c.Name] = c.Checked
	}
	return counts
}

// play is a process that works on a journal.
func play(ctx context.Context, t *testing.T, engine journal.Engine, turns int) *report {
	t.Helper()
	documents, err := readDocuments(nil)
	require.NoError(t, err)
	loop, err := loopstore.Open(t.Context(), loopstore.Options{Journal: engine, Partition: demoPartition})
	require.NoError(t, err)
	defer func() { _ = loop.Close() }()
	return settings{journal: "-", runtimes: 2, callers: 1, turns: turns}.drive(ctx, loop, documents, io.Discard)
}

// killed is a process that ends after so many appends: the journal takes nothing
// more.
func killed(t *testing.T, inner journal.Engine, appends int) *report {
	t.Helper()
	faulty := journaltest.NewFaulty(inner)
	faulty.Script(func(n int, _ journal.Batch) journaltest.Fault {
		if n < appends {
			return journaltest.Fault{}
		}
		return journaltest.Ambiguous(false)
	})
	return play(t.Context(), t, faulty, 9)
}

// eachKill calls do with a journal of a process that was killed, for each point
// at which it can be, or some of them.
func eachKill(t *testing.T, step int, do func(point int, engine journal.Engine)) {
	t.Helper()
	whole := play(t.Context(), t, journaltest.NewEngine(), 9)
	require.True(t, whole.OK, whole.Failures)
	require.Greater(t, whole.Journal.Appends, uint64(100))
	for point := 0; point < int(whole.Journal.Appends); point += step {
		engine := journaltest.NewEngine()
		require.False(t, killed(t, engine, point).OK)
		do(point, engine)
	}
}

// Also within what takes up what another process has left. In the end all turns
// are done, each once.
func TestGoesOnWhereverItWasKilled(t *testing.T) {
	eachKill(t, 1, func(point int, engine journal.Engine) {
		again := killed(t, engine, point%13)
		require.Zero(t, again.Verified[foundAgain].Failed, "%d: %v", point, again.Failures)
		r := play(t.Context(), t, engine, 9)
		require.True(t, r.OK, "%d: %v %v", point, r.Errors, r.Failures)
		require.Equal(t, 2*9, r.Verified[receipts].Checked, point)
		require.Equal(t, 2*(9+3), r.Verified[inputs].Checked, point)
		require.Equal(t, 2*2, r.Verified[sequences].Checked, point)
	})
}

// A turn that was begun is ended, also if no other is to be begun.
func TestEndsTheTurnsThatItFinds(t *testing.T) {
	eachKill(t, 1, func(point int, engine journal.Engine) {
		r := play(t.Context(), t, engine, 1)
		require.True(t, r.OK, "%d: %v %v", point, r.Errors, r.Failures)
		loop, err := loopstore.Open(t.Context(), loopstore.Options{Journal: engine, Partition: demoPartition})
		require.NoError(t, err)
		for summary, err := range loop.Runtimes(t.Context(), state.Paging{}) {
			require.NoError(t, err)
			require.Equal(t, summary.Held.InputStates, summary.Ended, point)
			require.Equal(t, store.RuntimeStopped, summary.RuntimeState, point)
		}
		require.NoError(t, loop.Close())
	})
}

// A runtime that is not taken up before the time ends is left as it is.
func TestLeavesWhatItHasNoTimeFor(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	eachKill(t, 7, func(point int, engine journal.Engine) {
		r := play(ended, t, engine, 9)
		require.Empty(t, r.Failures, point)
		require.Zero(t, r.Journal.Appends, point)
	})
}

// The real thing: processes that are killed at any moment, and one that is not.
func TestGoesOnAfterKills(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process that is killed there says so in another way")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "journal")
	child := func(ctx context.Context, duration string) (code int, stdout bytes.Buffer) {
		cmd := exec.CommandContext(ctx, self, "demo", "-journal", file, "-runtimes", "12", "-duration", duration, "-quiet", "-json")
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
	require.Equal(t, exitOK, code, &stdout)
	var r report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
	require.Positive(t, r.Turns)
	t.Logf("%s", r.Journal.Found)
	counts := verifiedOf(r)
	require.Equal(t, r.Journal.Found.Runtimes, counts["found"])
	require.GreaterOrEqual(t, counts["receipts"], r.Journal.Found.Receipts+int(r.Turns)-r.Journal.Found.InTurn)
	code, verified, stderr := shell(t.Context(), "verify", file)
	require.Equal(t, exitOK, code, stderr)
	require.Regexp(t, `(?m)^receipts +`+grouped(int64(counts["receipts"]))+`  `, verified)
}

func TestJournalIsReported(t *testing.T) {
	file := filepath.Join(t.TempDir(), "journal")
	code, stdout, stderr := shell(t.Context(), "demo", "-journal", file, "-runtimes", "2", "-turns", "3")
	require.Equal(t, exitOK, code, stdout+stderr)
	require.Equal(t, "found: nothing, the journal is new\n", stderr)
	require.Contains(t, stdout, "\nfound: nothing, the journal is new\n\n")
	require.Regexp(t, `(?m)^journal: \d+ appends of 1\.\d operations and \d+ KB, [\d.]+[mµ]s each on average$`, stdout)
	require.Contains(t, stdout, "\na write waits for its append, which callers share")
	require.NotContains(t, stdout, "waiting for a CPU")

	code, r := reported(t, "-journal", file, "-runtimes", "2", "-turns", "4", "-callers", "1")
	require.Equal(t, exitOK, code)
	require.Equal(t, foundRuntimes{2, 0, 6, 8}, r.Journal.Found)
	require.EqualValues(t, 2, r.Turns)
	require.Equal(t, r.Journal.Appends, r.Journal.Operations, "one caller, one operation at a time")
	require.EqualValues(t, 2*(2+3+1+1+1), r.Journal.Appends, "recovering, running, an input, a boundary, its end, stopped")
	require.InDelta(t, 1, r.Journal.OperationsPerAppend, 0)
	require.Positive(t, r.Journal.Bytes)
	require.Positive(t, r.Journal.Append)
	require.Equal(t, map[string]int{
		"receipts": 8, "digests": 2 + 2, "sequences": 2, "inputs": 10, "snapshots": 2, "runtime_states": 2, "restarts": 2, "found": 2,
	}, verifiedOf(r))

	code, r = reported(t, "-journal", file, "-runtimes", "2", "-turns", "4")
	require.Equal(t, exitOK, code, "nothing is left to do, and that is no failure")
	require.Zero(t, r.Turns)
	require.Zero(t, r.Journal.Appends)
	require.Equal(t, 8, verifiedOf(r)["receipts"])
}

func TestTheJSONOfAJournalIsDocumented(t *testing.T) {
	_, stdout, _ := shell(t.Context(), "demo", "-journal", filepath.Join(t.TempDir(), "journal"), "-runtimes", "1", "-turns", "1", "-quiet", "-json")
	var r struct{ Journal map[string]any }
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	_, help, _ := shell(t.Context(), "demo", "-h")
	_, fields, _ := strings.Cut(help, "\n-json prints one object")
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
	file, folder := filepath.Join(t.TempDir(), "journal"), t.TempDir()
	code, _ := reported(t, "-journal", file, "-runtimes", "9", "-turns", "3")
	require.Equal(t, exitOK, code)
	code, r := reported(t, "-journal", file, "-runtimes", "2", "-turns", "4")
	require.Equal(t, exitOK, code, "%v%v", r.Errors, r.Failures)
	require.Equal(t, 9, r.Runtimes, "fewer")
	require.EqualValues(t, 9, r.Turns)
	code, r = reported(t, "-journal", file, "-runtimes", "11", "-turns", "2")
	require.Equal(t, exitOK, code, "%v%v", r.Errors, r.Failures)
	require.Equal(t, 11, r.Runtimes, "more")
	require.EqualValues(t, 2*2, r.Turns, "only of the new ones, the others have had more")

	text, err := embedded.ReadFile("conversations/travel-booking.json")
	require.NoError(t, err)
	spaced := filepath.Join(folder, "spaced.json")
	require.NoError(t, os.WriteFile(spaced, bytes.ReplaceAll(text, []byte(`"role":`), []byte(`"role" : `)), 0o600))
	for _, turns := range []string{"9", "10"} {
		code, r = reported(t, "-journal", file, "-turns", turns, "-runtimes", "11", spaced)
		require.Equal(t, exitOK, code, "another file: %v%v", r.Errors, r.Failures)
	}
	require.EqualValues(t, 11, r.Turns)
	require.Equal(t, 11+11, verifiedOf(r)["digests"], "they are conversations of this file by now")
	code, r = reported(t, "-journal", file, "-turns", "20", "-runtimes", "11")
	require.Equal(t, exitOK, code, "and back: %v%v", r.Errors, r.Failures)
	require.Equal(t, 11*10, verifiedOf(r)["digests"], "of what was found nobody knows the document")
}

func TestJournalThatCannotBeHad(t *testing.T) {
	folder := t.TempDir()
	held := filepath.Join(folder, "held")
	code, r := reported(t, "-journal", held, "-runtimes", "5", "-turns", "5")
	require.Equal(t, exitOK, code, r.Errors)
	whole, err := os.ReadFile(held)
	require.NoError(t, err)
	corrupt, other := filepath.Join(folder, "corrupt"), filepath.Join(folder, "other")
	require.Contains(t, string(whole), `"role"`)
	require.NoError(t, os.WriteFile(corrupt, bytes.ReplaceAll(whole, []byte(`"role"`), []byte(`"rule"`)), 0o600))
	require.NoError(t, os.WriteFile(other, bytes.Repeat([]byte("\"role\"\n"), 5000), 0o600))

	s := settings{journal: held}
	loop, err := s.open(t.Context())
	require.NoError(t, err)
	for file, reason := range map[string]string{
		held: "in use", corrupt: "corrupt", other: "corrupt: it is not a file of bbolt",
		folder: "is a directory", filepath.Join(folder, "no", "file"): "no such file",
	} {
		code, stdout, stderr := shell(t.Context(), "demo", "-journal", file, "-turns", "1", "-quiet")
		require.Equal(t, exitFailed, code)
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
	file := filepath.Join(t.TempDir(), "journal")
	s := settings{journal: file}
	loop, err := s.open(t.Context())
	require.NoError(t, err)
	require.NoError(t, loop.PersistRuntimeState(t.Context(), "somebody", store.RuntimeRunning))
	require.NoError(t, loop.Close())
	code, r := reported(t, "-journal", file, "-turns", "1")
	require.Equal(t, exitFailed, code)
	require.Equal(t, []string{"the journal is not as the demo leaves it: nothing was changed"}, r.Errors)
	require.Equal(t, []string{"found: runtime somebody is none of the demo's"}, r.Failures)
	require.Zero(t, r.Journal.Appends)
}
