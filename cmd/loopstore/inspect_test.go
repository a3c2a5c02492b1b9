package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/demo"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/state"
)

const hostile = "a\x1b[31m\n\u202eb"

// exported writes a file with three runtimes, one of which nobody should print
// as it is.
func exported(t *testing.T) string {
	t.Helper()
	var held state.State
	input := store.NewInputState(store.InputID{1}, store.Time{})
	input.PersistedInput = []byte("{\n\"secret\": \"\u009b31m\"}")
	held.PutInputState(hostile, &input)
	held.PutSnapshot(hostile, new(store.SnapshotOf([]byte("hidden\x1b[0m\xff"))), nil)
	held.PutSession(hostile, store.SessionID{3}, new(store.SnapshotOf([]byte("filed"))))
	held.PutReceipt(hostile, state.NewReceipt(&store.RunBoundaryReceipt{
		RunID: store.RunID{2}, Boundary: store.RunStart, Sequence: 4, ConversationDigest: new("\x1b[2J"), ContributingInputIDs: []store.InputID{{1}},
	}))
	held.UseSequences(hostile, store.RunID{5}, 6)
	held.PutRuntimeState("", store.RuntimeIdle)
	held.PutRuntimeState(store.RuntimeID(strings.Repeat("x", 100)), store.RuntimeIdle)
	held.Settle()
	var file bytes.Buffer
	require.NoError(t, archive.Write(&file, held.Image()))
	name := filepath.Join(t.TempDir(), "state.jsonl")
	require.NoError(t, os.WriteFile(name, file.Bytes(), 0o600))
	return name
}

func TestDemoExportsWhatCanBeVerifiedAndInspected(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state.jsonl")
	code, stdout, stderr := shell(t.Context(), "demo", "-runtimes", "5", "-turns", "3", "-quiet", "-export", name)
	require.Equal(t, cli.OK, code, stdout+stderr)
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	left, err := filepath.Glob(name + ".*")
	require.NoError(t, err)
	require.Empty(t, left)

	code, stdout, stderr = shell(t.Context(), "verify", name)
	require.Equal(t, cli.OK, code, stderr)
	for what, count := range map[string]string{"runtimes": "5", "input states": "20", "runs": "5", "receipts": "15", "snapshots": "5", "documents": "5"} {
		require.Regexp(t, `(?m)^`+what+` +`+count+`  `, stdout)
	}
	require.NotContains(t, stdout, "note:")
	require.True(t, strings.HasSuffix(stdout, "\nok\n"))

	code, stdout, stderr = shell(t.Context(), "inspect", name)
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `(?m)^agent-004 +stopped +- +- +4 +0 +3 +\d+ kB$`, stdout)
	require.Contains(t, stdout, "5 runtimes with 20 inputs and 15 receipts, 0 sessions filed by id\n")

	nowhere := filepath.Join(t.TempDir(), "no", "such", "folder")
	for _, bad := range []string{nowhere, t.TempDir()} {
		code, stdout, stderr = shell(t.Context(), "demo", "-runtimes", "1", "-turns", "1", "-quiet", "-export", bad)
		require.Equal(t, cli.ExitMisuse, code)
		require.Empty(t, stdout, "it has not begun")
		require.Contains(t, stderr, "--export "+bad+": ")
	}
}

// played returns the store of a demo that has run to its end.
func played(t *testing.T) *loopstore.Loop {
	t.Helper()
	documents, err := demo.ReadDocuments(t.Context(), nil)
	require.NoError(t, err)
	loop := loopstore.New(loopstore.Options{})
	t.Cleanup(func() { require.NoError(t, loop.Close()) })
	require.True(t, demo.Run(t.Context(), demo.Settings{Runtimes: 4, Turns: 12, Callers: 2, Documents: documents}, loop, io.Discard).OK)
	return loop
}

func TestAFailedExportLeavesNoFile(t *testing.T) {
	folder := t.TempDir()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, played(t).ExportFile(ended, filepath.Join(folder, "state.jsonl")), context.Canceled)
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestVerifyTellsTheLine(t *testing.T) {
	name := exported(t)
	file, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, bytes.Replace(file, []byte(`"idle"`), []byte(`"gone"`), 1), 0o600))
	before, _, _ := bytes.Cut(file, []byte(`"idle"`))
	for _, command := range []string{"verify", "inspect"} {
		code, stdout, stderr := shell(t.Context(), command, name)
		require.Equal(t, cli.ExitFailed, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, fmt.Sprintf("line %d: it", 1+bytes.Count(before, []byte("\n")))+" does not match its check")
	}
}

func TestVerifyNotesAReceiptOfAnotherConversation(t *testing.T) {
	loop := played(t)
	for i, change := range []func(*store.RunBoundaryReceipt){
		func(r *store.RunBoundaryReceipt) { r.ConversationDigest = new("other") },
		func(r *store.RunBoundaryReceipt) { r.MessageCount++ },
		func(*store.RunBoundaryReceipt) {},
	} {
		id := store.RuntimeID(fmt.Sprintf("agent-%03d", i))
		view, err := loop.View(t.Context(), id)
		require.NoError(t, err)
		receipt, ok := view.LatestReceipt()
		require.True(t, ok)
		change(&receipt)
		require.NoError(t, loop.AtomicApply(t.Context(), id, store.BoundaryApply{Receipt: receipt}))
	}
	name := filepath.Join(t.TempDir(), "state.jsonl")
	require.NoError(t, loop.ExportFile(t.Context(), name))
	code, stdout, _ := shell(t.Context(), "verify", name)
	require.Equal(t, cli.OK, code, "it is what a caller may do")
	require.Regexp(t, `note: the latest receipt is not of the conversation that is held, in 2 runtimes:\n  (agent-000\n  agent-001|agent-001\n  agent-000)\n\nok\n$`, stdout)
}

// unprintable is what must not reach a terminal.
var unprintable = regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f-\x{9f}\x{202a}-\x{202e}]|\xff`)

func TestInspectEscapesWhatIsNotText(t *testing.T) {
	name := exported(t)
	for _, args := range [][]string{{name}, {"-runtime", hostile, name}, {"-runtime", hostile, "-payloads", name}} {
		code, stdout, stderr := shell(t.Context(), append([]string{"inspect"}, args...)...)
		require.Equal(t, cli.OK, code, stderr)
		require.NotRegexp(t, unprintable, stdout)
		require.Contains(t, stdout, `"a\x1b[31m\n\u202eb"`)
		require.Equal(t, len(args) == 4, strings.Contains(stdout, "hidden") && strings.Contains(stdout, "secret"), "payloads only if asked for")
		most := 80
		if len(args) > 1 {
			most = 150 // it has digests
		}
		for line := range strings.Lines(stdout) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), most, line)
		}
	}
	_, stdout, _ := shell(t.Context(), "inspect", name)
	require.Regexp(t, `(?m)^"" +idle +- +- +0 +0 +0 +1 kB$`, stdout)
	require.Regexp(t, `(?m)^x{79}…\n +idle +- `, stdout)
	code, _, stderr := shell(t.Context(), "inspect", "-runtime", "no\x1b", name)
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, stderr, `there is no runtime "no\x1b"`)
}

func TestInspectShowsWhatFewRuntimesHave(t *testing.T) {
	held := state.State{Retention: store.Retention{Keys: store.Keep{Last: 9}}, Tombstones: store.Keep{Last: 9}, Now: store.TimeOf(time.Unix(1e9, 0))}
	held.PutLabels("a", map[string]string{"tier": hostile})
	input := store.NewInputState(store.InputID{1}, store.Time{})
	input.IdempotencyKey = new("k")
	held.PutInputState("a", &input)
	held.DeleteInputState("a", input.InputID)
	held.PutRuntimeState("gone", store.RuntimeIdle)
	held.Settle()
	held.DeleteRuntime("gone")
	held.Settle()
	name := filepath.Join(t.TempDir(), "state.jsonl")
	require.NoError(t, archive.WriteFile(name, func(w io.Writer) error { return archive.Write(w, held.Image()) }))
	code, stdout, stderr := shell(t.Context(), "inspect", "--runtime", "a", name)
	require.Equal(t, cli.OK, code, stderr)
	require.Contains(t, stdout, "made 2001-09-09T01:46:40Z, written to 2001-09-09T01:46:40Z\n")
	require.Contains(t, stdout, `label "tier": "a\x1b[31m\n\u202eb"`)
	require.Contains(t, stdout, "1 idempotency key kept without an input\n")
	_, stdout, _ = shell(t.Context(), "inspect", name)
	require.Contains(t, stdout, "deleted: \"gone\" at revision 2\n")
	_, stdout, _ = shell(t.Context(), "inspect", "--json", name)
	require.Contains(t, stdout, `"labels": {`)
	require.Contains(t, stdout, `"revision": 2`)
}

func TestInspectReadsStandardInput(t *testing.T) {
	file, err := os.Open(exported(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	code, stdout, stderr := shellWith(t.Context(), file, "inspect", "-runtime", "", "-")
	require.Equal(t, cli.OK, code, stderr)
	require.Contains(t, stdout, `runtime "": version 1, state idle`)
}

func TestInspectPrintsJSON(t *testing.T) {
	name := exported(t)
	decode := func(v any, args ...string) {
		code, stdout, stderr := shell(t.Context(), append([]string{"inspect", "-json"}, args...)...)
		require.Equal(t, cli.OK, code, stderr)
		dec := json.NewDecoder(strings.NewReader(stdout))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(v))
	}
	var all inventory
	decode(&all, name)
	require.EqualValues(t, 1, all.Revision)
	require.Len(t, all.Runtimes, 3)
	require.EqualValues(t, hostile, all.Runtimes[0].RuntimeID)
	require.Equal(t, len("hidden\x1b[0m\xff"), *all.Runtimes[0].SnapshotBytes)
	require.Nil(t, all.Runtimes[1].SnapshotBytes)
	require.Equal(t, []filedSession{{store.SessionID{3}, hostile, 5}}, all.Sessions)

	var bare, whole details
	decode(&bare, "-runtime", hostile, name)
	decode(&whole, "-runtime", hostile, "-payloads", name)
	require.Empty(t, bare.Snapshot.Base64)
	require.Equal(t, "hidden\x1b[0m\xff", string(whole.Snapshot.Base64))
	require.Nil(t, bare.Inputs[0].PersistedInput)
	require.NotNil(t, whole.Inputs[0].PersistedInput)
	require.Nil(t, bare.Snapshot.Digest)
	require.EqualValues(t, 4, bare.RunDetails[0].Receipts[0].Sequence)
	require.Equal(t, []droppedRun{{store.RunID{5}, 6}}, bare.DroppedRuns)
	require.Equal(t, all.Sessions, bare.Sessions)
}

func TestTheJSONOfInspectIsDocumented(t *testing.T) {
	name := exported(t)
	_, help, _ := shell(t.Context(), "inspect", "-h")
	for _, args := range [][]string{{name}, {"-runtime", hostile, "-payloads", name}} {
		_, stdout, _ := shell(t.Context(), append([]string{"inspect", "-json"}, args...)...)
		var top map[string]any
		require.NoError(t, json.Unmarshal([]byte(stdout), &top))
		for field := range top {
			require.Regexp(t, `\b`+field+`\b`, help)
		}
	}
}

// Nothing that a user names reaches a terminal as more than text.
func TestNamesAreEscaped(t *testing.T) {
	evil := filepath.Join(t.TempDir(), "x\x1b[31m\u202e")
	for _, args := range [][]string{
		{"verify", evil}, {"inspect", evil}, {"inspect", "-\x1b[31m"}, {"\x1b[31m"},
		{"demo", "-turns", "1", "-runtimes", "1", "-quiet", "-export", filepath.Join(evil, "x")},
	} {
		code, stdout, stderr := shell(t.Context(), args...)
		require.NotEqual(t, cli.OK, code)
		require.NotContains(t, stdout+stderr, "\x1b")
		require.NotContains(t, stdout+stderr, "\u202e")
	}
	var text strings.Builder
	value := map[string]string{"a": "\u009b\u202e\x7f\U000e0001é\n"}
	require.NoError(t, writeJSON(&text, value, false))
	require.Regexp(t, "^[ -~\né]*$", text.String())
	read := map[string]string{}
	require.NoError(t, json.Unmarshal([]byte(text.String()), &read))
	require.Equal(t, value, read)
}

// An export takes the place of a file, and of nothing else.
func TestExportReplacesFilesOnly(t *testing.T) {
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	folder := t.TempDir()
	require.Error(t, loop.ExportFile(t.Context(), folder))
	link, file := filepath.Join(folder, "link"), filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, loop.ExportFile(t.Context(), link))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)
	code, _, stderr := shell(t.Context(), "verify", file)
	require.Equal(t, cli.OK, code, stderr)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing else is left")
}
