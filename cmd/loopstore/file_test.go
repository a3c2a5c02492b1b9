package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// journaled returns a journal of the demo.
func journaled(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "state.jsonl") // a name says nothing
	code, r := reported(t, "-journal", name, "-runtimes", "5", "-turns", "3")
	require.Equal(t, cli.OK, code, "%v%v", r.Errors, r.Failures)
	return name
}

// filesOf returns what the files of a journal hold, by their names.
func filesOf(t *testing.T, name string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(name)
	require.NoError(t, err)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(name, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = string(text)
	}
	return files
}

// requireSame fails if a journal's files are not what they were.
func requireSame(t *testing.T, before map[string]string, name string, args ...any) {
	t.Helper()
	require.True(t, maps.Equal(before, filesOf(t, name)), args...) // none is shown: they are large
}

// What they say of a journal is what they say of the same store exported.
func TestInspectAndVerifyTakeAJournal(t *testing.T) {
	name := journaled(t)
	file := filepath.Join(t.TempDir(), "exported")
	loop := opened(t, name)
	require.NoError(t, loop.ExportFile(t.Context(), file))
	require.NoError(t, loop.Close())
	kind := regexp.MustCompile(`(?m)partition "demo", |^[\d,]+ [KM]B, |^(lines|records).*\n|\n  "partition": "demo",| *\d+ s +`) // time goes on
	for _, args := range [][]string{
		{"inspect"}, {"inspect", "-json"}, {"inspect", "-runtime", "agent-003"}, {"inspect", "-runtime", "agent-003", "-payloads", "-json"}, {"verify"},
	} {
		for range 2 {
			code, of, stderr := shell(t.Context(), append(args, file)...)
			require.Equal(t, cli.OK, code, stderr)
			code, in, stderr := shell(t.Context(), append(args, name)...)
			require.Equal(t, cli.OK, code, stderr)
			require.Empty(t, stderr)
			require.Equal(t, kind.ReplaceAllString(of, ""), kind.ReplaceAllString(in, ""), "%q", args)
		}
	}
	_, stdout, _ := shell(t.Context(), "verify", name)
	require.Regexp(t, `^\d+ [KM]B, partition "demo", revision \d+\n`, stdout)
	require.Regexp(t, `(?m)^records +\d+  each is as it was written, none is missing, in a log and pages that are whole$`, stdout)
	_, stdout, _ = shell(t.Context(), "inspect", name)
	require.Contains(t, stdout, "\npartition \"demo\", revision ")
	_, stdout, _ = shell(t.Context(), "inspect", "-json", name)
	var all inventory
	require.NoError(t, json.Unmarshal([]byte(stdout), &all))
	require.Equal(t, "demo", *all.Partition)
}

func TestPartitionsOfAJournal(t *testing.T) {
	const odd = "p0\x1b[31m"
	name := journaled(t)
	loop, err := loopstore.Open(t.Context(), disk.New(name, disk.Options{}), odd, loopstore.Options{})
	require.NoError(t, err)
	require.NoError(t, loop.PersistRuntimeState(t.Context(), "agent-1", store.RuntimeIdle))
	require.NoError(t, loop.Close())
	for _, command := range []string{"inspect", "verify"} {
		code, stdout, stderr := shell(t.Context(), command, "-partition", odd, name)
		require.Equal(t, cli.OK, code, stderr)
		require.Contains(t, stdout, `partition "p0\x1b[31m", revision 1`)
		require.NotContains(t, stdout, `"demo"`)
		code, _, stderr = shell(t.Context(), command, "-partition", "p9", name)
		require.Equal(t, cli.ExitFailed, code)
		require.Contains(t, stderr, `it has no partition "p9"`)
		code, _, stderr = shell(t.Context(), command, "-partition", "p9", exported(t))
		require.Equal(t, cli.ExitMisuse, code)
		require.Contains(t, stderr, "-partition goes with a journal")
	}
	code, stdout, stderr := shell(t.Context(), "inspect", name)
	require.Equal(t, cli.ExitMisuse, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, `-partition must name one of "demo", "p0\x1b[31m"`)
	code, stdout, stderr = shell(t.Context(), "verify", name)
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `(?s)^[^\n]*partition "demo", .*\nok\n\n[^\n]*partition "p0[^\n]*, revision 1\n.*\nok\n$`, stdout)
}

// Neither inspect nor verify changes a journal: one that may not be written will
// do.
func TestReadingDoesNotChangeAJournal(t *testing.T) {
	name := journaled(t)
	before := filesOf(t, name)
	for file := range before {
		require.NoError(t, os.Chmod(filepath.Join(name, file), 0o400))
	}
	require.NoError(t, os.Chmod(name, 0o500))
	for _, args := range [][]string{{"inspect"}, {"verify"}, {"verify", "-partition", "demo"}, {"inspect", "-partition", "none"}} {
		shell(t.Context(), append(args, name)...)
		requireSame(t, before, name, "%q", args)
	}
	left, err := os.ReadDir(filepath.Dir(name))
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.NoError(t, os.Chmod(name, 0o700)) // so that it can be removed
}

// None of them takes a journal that is not as it was written, or in use, and
// none shows what is in it.
func TestJournalThatIsRefused(t *testing.T) {
	name := journaled(t)
	code, _, stderr := shell(t.Context(), "compact", name)
	require.Equal(t, cli.OK, code, stderr)
	code, r := reported(t, "-journal", name, "-runtimes", "5", "-turns", "6") // in the log, the others are in the pages
	require.Equal(t, cli.OK, code, "%v%v", r.Errors, r.Failures)
	folder := t.TempDir()
	damaged := func(what, file string, change func([]byte) []byte) string {
		dir := filepath.Join(folder, what)
		require.NoError(t, os.CopyFS(dir, os.DirFS(name)))
		file = filepath.Join(dir, file)
		whole, err := os.ReadFile(file)
		require.NoError(t, err)
		changed := change(bytes.Clone(whole))
		require.False(t, bytes.Equal(whole, changed), what)
		if changed == nil {
			require.NoError(t, os.Remove(file))
			return dir
		}
		require.NoError(t, os.WriteFile(file, changed, 0o600))
		return dir
	}
	const log = "log-0000000000000001"
	rule := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"role"`), []byte(`"rule"`)) }
	gone := func([]byte) []byte { return nil }
	refused := map[string]string{
		damaged("a record in the pages", "pages", rule): "corrupt: a record is damaged",
		damaged("the pages' headers", "pages", func(b []byte) []byte { clear(b[20:64]); clear(b[4096+20 : 4096+64]); return b }): "corrupt: ",
		damaged("the pages, cut off", "pages", func(b []byte) []byte { return b[:5*4096] }):                                      "corrupt: ",
		damaged("no pages", "pages", gone):                                                        "corrupt: it has no file \"pages\"",
		damaged("a record in the log", log, rule):                                                 "corrupt: ",
		damaged("the log, cut off", log, func(b []byte) []byte { return b[:len(b)/1000] }):        "corrupt: ",
		damaged("no log", log, gone):                                                              "corrupt: ",
		damaged("another format", "format", func(b []byte) []byte { b[len(b)-2] ^= 1; return b }): "corrupt: its file \"format\" is damaged",
		damaged("no format", "format", gone):                                                      "corrupt: .* no file \"format\"",
		name:                                                                                      "in use",
	}
	loop := opened(t, name)
	for _, command := range []string{"inspect", "verify", "compact"} {
		for journal, reason := range refused {
			before := filesOf(t, journal)
			code, stdout, stderr := shell(t.Context(), command, journal)
			require.Equal(t, cli.ExitFailed, code, "%s %s: %s", command, journal, stdout+stderr)
			require.Empty(t, stdout)
			require.Contains(t, stderr, "loopstore "+command+": "+journal+": ")
			require.Regexp(t, reason, strings.Replace(stderr, `partition "demo": `, "", 1), journal)
			require.NotContains(t, stderr, "rule")
			requireSame(t, before, journal, journal)
		}
	}
	require.NoError(t, loop.Close())
}

// A signal ends the reading of a file too.
func TestInterruptEndsTheReading(t *testing.T) {
	journal, file := journaled(t), exported(t)
	for cause, want := range map[error]int{nil: cli.ExitInterrupted, cli.ErrTerminated: cli.ExitTerminated} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		for _, args := range [][]string{
			{"inspect", file}, {"verify", file}, {"inspect", journal}, {"verify", journal}, {"compact", journal}, {"demo", "-journal", journal},
			{"carry", earlier(t), filepath.Join(t.TempDir(), "carried")},
		} {
			code, stdout, stderr := shell(ctx, args...)
			require.Equal(t, want, code, "%q: %s", args, stderr)
			require.Empty(t, stdout)
		}
	}
}

// What the engine has kept well may still be no store.
func TestRecordsAreChecked(t *testing.T) {
	name := journaled(t)
	engine := disk.New(name, disk.Options{})
	var all []journal.Change
	j, err := engine.Open(t.Context(), "demo", func(c journal.Change) error {
		all = append(all, journal.Change{Key: bytes.Clone(c.Key), Value: bytes.Clone(c.Value)})
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	for partition, changes := range map[string][]journal.Change{
		"one lost": all[:len(all)-1], "the first lost": all[1:], "none of a store": {{Key: []byte("key"), Value: []byte("secret")}},
	} {
		j, err := engine.Open(t.Context(), partition, func(journal.Change) error { return nil })
		require.NoError(t, err)
		_, err = j.Append(t.Context(), journal.Batch{Changes: changes})
		require.NoError(t, err)
		require.NoError(t, j.Close(t.Context()))
		for _, command := range []string{"verify", "inspect"} {
			code, stdout, stderr := shell(t.Context(), command, "-partition", partition, name)
			require.Equal(t, cli.ExitFailed, code, partition)
			require.Empty(t, stdout)
			require.Contains(t, stderr, "journal: corrupt: at key ")
			require.NotContains(t, stderr, "secret")
		}
	}
}

func TestCompactGivesRoomBack(t *testing.T) {
	name := journaled(t)
	loop := opened(t, name)
	large := store.NewInputState(store.NewInputID(), store.Time{})
	large.PersistedInput = []byte(`"` + strings.Repeat("x", 24<<20) + `"`)
	require.NoError(t, loop.PersistInputState(t.Context(), "large", large))
	_, err := loop.DeleteRuntime(t.Context(), "large")
	require.NoError(t, err)
	require.NoError(t, loop.Close())
	_, held, _ := shell(t.Context(), "inspect", "--json", name)

	code, stdout, stderr := shell(t.Context(), "compact", name)
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `^`+regexp.QuoteMeta(name)+`: \d+ [KM]B, was \d\d MB\n$`, stdout)
	info, err := os.Stat(filepath.Join(name, "pages"))
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(20<<20))
	code, stdout, stderr = shell(t.Context(), "compact", name)
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `: (\d+ [KM]B), was \d+ [KM]B: there was no room to give back, and the log was brought into the pages\n$`, stdout)
	_, still, _ := shell(t.Context(), "inspect", "--json", name)
	require.Equal(t, held, still)

	missing := filepath.Join(t.TempDir(), "nowhere")
	for file, c := range map[string]struct {
		code int
		why  string
	}{exported(t): {cli.ExitFailed, "it is not a journal"}, "-": {cli.ExitMisuse, "no such file"}, missing: {cli.ExitMisuse, "no such file"}} {
		code, stdout, stderr = shell(t.Context(), "compact", file)
		require.Equal(t, c.code, code, file)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.why)
	}
	require.NoFileExists(t, missing)
	require.NoFileExists(t, "-")
}

// A journal whose first pages are lost cannot be told from any other file, and is
// not just called one.
func TestLostFirstPagesAreThoughtOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	require.NoError(t, os.WriteFile(path, make([]byte, 20_000), 0o600))
	for _, command := range []string{"inspect", "verify", "compact"} {
		code, _, stderr := shell(t.Context(), command, path)
		require.Equal(t, cli.ExitFailed, code, command)
		require.Contains(t, stderr, "first pages are damaged", command)
	}
}

// A pipe that nobody writes to, or goes on writing to, is given up with the context.
func TestReadingAPipeEndsWithTheContext(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Skip("there are no pipes with names here: ", err)
	}
	for _, written := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		ended := make(chan int, 1)
		go func() {
			code, _, _ := shell(ctx, "verify", pipe)
			ended <- code
		}()
		if written {
			writer, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for the reader
			require.NoError(t, err)
			defer func() { _ = writer.Close() }()
		}
		require.Equal(t, cli.ExitInterrupted, <-ended)
		cancel()
		both, err := os.OpenFile(pipe, os.O_RDWR, 0) // so that who still waits goes
		require.NoError(t, err)
		require.NoError(t, both.Close())
	}
}
