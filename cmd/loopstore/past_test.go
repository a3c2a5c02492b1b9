package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/storetest"
)

const talk = `{"id":"0195b1c2-0000-7000-8000-000000000001","messages":[{"role":"user","content":"secret"}],"created_at":{"secs_since_epoch":1,"nanos_since_epoch":0},"updated_at":{"secs_since_epoch":1,"nanos_since_epoch":0}}`

// withPast fills a journal: runtime "chat" has lines in versions 2 to 4 and again in 7,
// a session document in 5 and any bytes in 6; "copy" is a fork of 4.
func withPast(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "journal")
	l, err := loopstore.Open(t.Context(), disk.New(dir, disk.Options{}), "p", loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 6}}})
	require.NoError(t, err)
	for i := range 4 {
		_, err := l.CommitSessionBoundary(t.Context(), "chat", store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: fmt.Appendf(nil, "\"secret %d\"\n", i), Format: store.FormatLines, Append: true},
			RunID:   store.RunID{1}, Boundary: store.RunCheckpoint,
		})
		require.NoError(t, err)
	}
	put := func(w batch.Write) {
		_, err := l.Commit(t.Context(), batch.Batch{Then: []batch.Write{w}})
		require.NoError(t, err)
	}
	put(batch.PutSnapshot{RuntimeID: "chat", Snapshot: []byte(talk)})
	put(batch.PutSnapshot{RuntimeID: "chat", Snapshot: []byte("secret"), Format: store.FormatOpaque, Messages: 1<<64 - 1})
	put(batch.RestoreSession{RuntimeID: "chat", Number: 4})
	require.NoError(t, l.Fork(t.Context(), "chat", 4, "copy"))
	require.NoError(t, l.Close())
	return dir
}

func TestInspectShowsThePastOfASession(t *testing.T) {
	dir := withPast(t)
	code, stdout, stderr := shell(t.Context(), "inspect", dir)
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `(?m)^chat +- +\d+ s +- +0 +0 +4 +5 kB$`, stdout)
	require.Regexp(t, `(?m)^copy +- +\d+ s +- +0 +0 +0 +1 kB$`, stdout)

	code, stdout, stderr = shell(t.Context(), "inspect", "-runtime", "chat", dir)
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `(?m)^snapshot: version 7, format lines, 44 bytes, 4 messages, digest [0-9a-f]{64}$`, stdout)
	require.Contains(t, stdout, "\n6 versions of the session\n  2      lines             22  ")
	require.Contains(t, stdout, "by 01000000-0000-0000-0000-000000000000 3\n  5      meerkat          209  ")
	require.Regexp(t, `  6      opaque +6  [0-9a-f]{64}\n         by -\n`, stdout)
	require.NotContains(t, stdout, "secret")
	require.NotContains(t, stdout, "forked")

	_, stdout, _ = shell(t.Context(), "inspect", "-runtime", "copy", dir)
	require.Regexp(t, `forked from version 4 of runtime "chat"\nmade \S+Z, written to \S+Z\nsnapshot: version 1, format lines`, stdout)
	_, stdout, _ = shell(t.Context(), "inspect", "-runtime", "chat", "-number", "6", "-payloads", dir)
	require.Contains(t, stdout, "snapshot: version 6, format opaque, 6 bytes, 18446744073709551615 messages")
	require.Contains(t, stdout, "\n  secret\n")

	for text, args := range map[string][]string{
		"--number goes with --runtime": {"-number", "1", dir}, "it must be a number": {"-number", "-1", "-runtime", "chat", dir},
	} {
		code, _, stderr = shell(t.Context(), append([]string{"inspect"}, args...)...)
		require.Equal(t, cli.ExitMisuse, code)
		require.Contains(t, stderr, text)
	}
	code, _, stderr = shell(t.Context(), "inspect", "-number", "1", "-runtime", "chat", dir)
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, stderr, "runtime chat has no version 1 of its session")
}

func TestInspectPrintsThePastAsJSON(t *testing.T) {
	dir := withPast(t)
	decode := func(args ...string) (d details, text string) {
		code, stdout, stderr := shell(t.Context(), append([]string{"inspect", "-json"}, append(args, dir)...)...)
		require.Equal(t, cli.OK, code, stderr)
		dec := json.NewDecoder(strings.NewReader(stdout))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&d))
		return d, stdout
	}
	chat, text := decode("-runtime", "chat")
	require.Equal(t, 6, chat.Versions)
	require.Len(t, chat.Past, 6)
	require.Equal(t, chat.Past[5], chat.Snapshot.versionDetails)
	require.Nil(t, chat.Origin)
	var formats []string
	for i, v := range chat.Past {
		require.EqualValues(t, i+2, v.Number)
		formats = append(formats, v.Format)
		require.Equal(t, i < 3, v.RunID != nil)
	}
	require.Equal(t, []string{"lines", "lines", "lines", "meerkat", "opaque", "lines"}, formats)
	require.Contains(t, text, `"format": "meerkat"`)
	require.EqualValues(t, uint64(1<<64-1), *chat.Past[4].Messages)
	require.EqualValues(t, 3, *chat.Past[2].Sequence)
	require.Equal(t, chat.Past[2].Digest, chat.Past[5].Digest, "it was restored")

	old, _ := decode("-runtime", "chat", "-number", "5", "-payloads")
	require.Equal(t, talk, string(old.Snapshot.Base64))
	require.EqualValues(t, 5, old.Snapshot.Number)
	fork, _ := decode("-runtime", "copy")
	require.Equal(t, &state.Origin{RuntimeID: "chat", Number: 4}, fork.Origin)
	_, help, _ := shell(t.Context(), "inspect", "-h")
	for _, field := range []string{"number", "format", "digest", "messages", "run_id", "sequence", "origin", "session_versions"} {
		require.Regexp(t, `\b`+field+`\b`, help)
	}
}

func TestVerifyReadsEveryVersion(t *testing.T) {
	code, stdout, stderr := shell(t.Context(), "verify", withPast(t))
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `(?m)^snapshots +2  `, stdout)
	require.Regexp(t, `(?m)^versions +5  `, stdout)
	require.Regexp(t, `(?m)^documents +7  .*from 5 texts$`, stdout)
}

// A text whose digest is wrong is found wherever it is, and named.
func TestVerifyNamesTheVersionThatIsWrong(t *testing.T) {
	good, err := store.Snapshot{}.Replace(store.FormatLines, "100\n", 0)
	require.NoError(t, err)
	for i, change := range []func(*session.Facts){
		func(f *session.Facts) { f.Digest[0]++ },
		func(f *session.Facts) { f.Messages++ },
		func(f *session.Facts) { f.Format = store.FormatOpaque; f.Digest[31]++ },
	} {
		facts := good.Document().Facts()
		change(&facts)
		document, ok := session.Restore(facts, good.Text())
		require.True(t, ok)
		bad := store.SnapshotOfDocument(document)

		earlier := &holding{state: &state.State{Retention: store.Retention{Sessions: store.Keep{Last: 5}}}, partition: new("p\x1b")}
		for _, snapshot := range []store.Snapshot{good, bad, good} {
			earlier.state.PutSnapshot("a\x1b", &snapshot, nil)
		}
		filed := &holding{state: new(state.State)}
		filed.state.PutSnapshot("a", &good, nil)
		filed.state.PutSession("a", store.SessionID{1}, &bad)
		for h, text := range map[*holding]string{
			earlier: `partition "p\x1b": runtime "a\x1b", version 2 of its session: its digest or number of messages is not that of its text`,
			filed:   "session 01000000-0000-0000-0000-000000000000, as it is filed: its digest",
		} {
			h.state.Settle()
			_, err := h.readTexts(t.Context())
			require.ErrorContains(t, err, text, i)
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = h.readTexts(ended)
			require.ErrorIs(t, err, context.Canceled)
		}
	}
}

// Compacting keeps the past, whatever retention the next program has.
func TestCompactKeepsThePast(t *testing.T) {
	dir := withPast(t)
	_, before, _ := shell(t.Context(), "inspect", "-json", "-runtime", "chat", dir)
	code, _, stderr := shell(t.Context(), "compact", dir)
	require.Equal(t, cli.OK, code, stderr)
	_, after, _ := shell(t.Context(), "inspect", "-json", "-runtime", "chat", dir)
	require.Equal(t, before, after)
	l := storetest.Open(t, disk.New(dir, disk.Options{}), "p")
	view, err := l.View(t.Context(), "chat")
	require.NoError(t, err)
	require.Len(t, slices.Collect(view.Sessions()), 6)
}

// An exported file shows what the journal shows.
func TestAnExportHasThePast(t *testing.T) {
	dir := withPast(t)
	l := storetest.Open(t, disk.New(dir, disk.Options{}), "p")
	exported := filepath.Join(t.TempDir(), "x.jsonl")
	require.NoError(t, l.ExportFile(t.Context(), exported))
	require.NoError(t, l.Close())
	for _, id := range []string{"chat", "copy"} {
		args := []string{"inspect", "-json", "-payloads", "-runtime", id}
		_, want, _ := shell(t.Context(), append(args, dir)...)
		code, got, stderr := shell(t.Context(), append(args, exported)...)
		require.Equal(t, cli.OK, code, stderr)
		require.Equal(t, want, got)
	}
	code, stdout, stderr := shell(t.Context(), "verify", exported)
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `(?m)^versions +5  `, stdout)
	require.Regexp(t, `(?m)^documents +7  .*from 5 texts$`, stdout)
}
