package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/turn"
)

// served is a variable of the environment that makes the test binary a child, in the
// directory that it names.
const served = "AGENTS_TEST_DIR"

// complaining is no directory: that child complains, and waits until it is killed.
const complaining = "/complaining"

func TestMain(m *testing.M) {
	if dir := os.Getenv(served); dir == complaining {
		_, _ = os.Stderr.WriteString("broken")
		_ = json.NewEncoder(os.Stdout).Encode(report{Event: opened})
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	} else if dir != "" {
		if err := Serve(context.Background(), dir, os.Stdin, os.Stdout); err != nil { //nolint:usetesting // there is no test
			_, _ = io.WriteString(os.Stderr, err.Error())
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func settings(t *testing.T, kills int) Settings {
	dir := t.TempDir()
	return Settings{Dir: dir, Kills: kills, Child: func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), served+"="+dir)
		return cmd
	}}
}

func silent(string) {}

// TestKilled kills the process of the agents, and goes on with what that has left.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := settings(t, 5)
	var lines []string
	o, err := Run(t.Context(), s, func(line string) { lines = append(lines, line) })
	require.NoError(t, err)
	require.True(t, o.OK, o.Table())
	require.Len(t, lines, 5)
	calls := o.Calls.Count
	require.Equal(t, Outcome{
		Agents: agents, Kills: 5, Elapsed: o.Elapsed, Repeated: o.Repeated, Recovered: o.Recovered, Asked: o.Asked,
		Inputs: Count{Count: agents * notes}, Turns: Count{Count: agents * notes}, Messages: Count{Count: 2*agents*notes + 2*calls}, Calls: Count{Count: calls}, OK: true,
	}, *o)
	require.Greater(t, calls, agents*notes/2)

	s.Kills = 0
	o, err = Run(t.Context(), s, silent)
	require.NoError(t, err)
	require.True(t, o.OK, o.Table())
	require.Equal(t, 2*agents*notes, o.Inputs.Count)
	require.Zero(t, o.Repeated+o.Recovered+o.Asked)
}

// TestWhatIsWrongIsFound spoils what agents have left, and has it checked.
func TestWhatIsWrongIsFound(t *testing.T) {
	t.Parallel()
	whole := t.TempDir()
	var all bytes.Buffer
	p := &parent{Settings: Settings{Dir: whole}}
	for i := range agents * notes {
		require.NoError(t, json.NewEncoder(&all).Encode(p.note(i)))
	}
	require.NoError(t, Serve(t.Context(), whole, &all, io.Discard))

	stored := func(change func(loop *loopstore.Loop) error) func(dir string) error {
		return func(dir string) error {
			loop, err := open(t.Context(), dir)
			if err != nil {
				return err
			}
			return errors.Join(change(loop), loop.Close())
		}
	}
	book := func(edit func(first, rest string) string) func(dir string) error {
		return func(dir string) error {
			text, err := os.ReadFile(notebookIn(dir))
			if err != nil {
				return err
			}
			first, rest, _ := strings.Cut(string(text), "\n")
			return os.WriteFile(notebookIn(dir), []byte(edit(first+"\n", rest)), 0o600)
		}
	}
	third := agentID(3)
	input := func(message bool, change func(in *store.InputState)) func(dir string) error {
		return stored(func(loop *loopstore.Loop) error {
			view, err := loop.View(t.Context(), third)
			if err != nil {
				return err
			}
			for in := range view.InputStates() {
				if message == (in.IdempotencyKey != nil) {
					change(&in)
					return loop.PersistInputState(t.Context(), third, in)
				}
			}
			return errors.New("it has none")
		})
	}
	waiting := store.NewInputState(store.NewInputID(), store.TimeOf(time.Now()))
	said := func(edit func(lines []string) []string) func(dir string) error {
		return stored(func(loop *loopstore.Loop) error {
			text, _, err := loop.LoadSessionSnapshot(t.Context(), third)
			if err != nil {
				return err
			}
			lines := edit(slices.Collect(strings.Lines(string(text))))
			put := batch.PutSnapshot{RuntimeID: third, Snapshot: []byte(strings.Join(lines, "")), Format: store.FormatLines}
			_, err = loop.Commit(t.Context(), batch.Batch{Then: []batch.Write{put}})
			return err
		})
	}
	for name, c := range map[string]struct {
		spoil func(dir string) error
		says  string // a line of the table
	}{
		"nothing":          {func(string) error { return nil }, `^ok$`},
		"a call twice":     {book(func(first, rest string) string { return first + rest + first }), `^tool calls +\d+ +0 +1$`},
		"a call lost":      {book(func(_, rest string) string { return rest }), `^tool calls +\d+ +1 +0$`},
		"a call of nobody": {book(func(first, rest string) string { return first + rest + "run/call-9 x\n" }), `^FAILED the notebook has a call that nobody wanted: run/call-9$`},
		"a result lost": {input(false, func(in *store.InputState) { in.PersistedInput = []byte(`{"call_id":"call-0"}`) }),
			`^FAILED agent-03: input .* is no message, and no call that has a result$`},
		"another result": {input(false, func(in *store.InputState) {
			in.PersistedInput = bytes.ReplaceAll(in.PersistedInput, []byte("It is line"), []byte("It was line"))
		}), `^FAILED agent-03: the ledger has not what call .*/call-0 has come to$`},
		"a call twice in the ledger": {input(false, func(in *store.InputState) { in.InputID = store.NewInputID() }),
			`^FAILED agent-03: the ledger has a call twice: .*/call-0$`},
		"another key": {input(true, func(in *store.InputState) { in.IdempotencyKey = new("99") }),
			`^FAILED agent-03: input .* is no message to it that was answered$`},
		"other arguments": {book(func(first, rest string) string { return strings.Replace(first, "Note", "Nota", 1) + rest }),
			`^FAILED agent-\d+: the notebook has other arguments of call .*$`},
		"other arguments in the conversation": {said(func(lines []string) []string {
			for i, l := range lines {
				lines[i] = strings.Replace(l, `"arguments":"Note`, `"arguments":"Nota`, 1)
			}
			return lines
		}), `^FAILED agent-03: its conversation is another than it should be$`},
		"another role": {said(func(lines []string) []string {
			lines[len(lines)-1] = strings.Replace(lines[len(lines)-1], "assistant", "system", 1)
			return lines
		}), `^FAILED agent-03: its conversation is another than it should be$`},
		"a call in the ledger of nobody": {input(false, func(in *store.InputState) {
			in.InputID = store.NewInputID()
			in.PersistedInput = bytes.ReplaceAll(in.PersistedInput, []byte("call-0"), []byte("call-9"))
		}),
			`^FAILED agent-03: the ledger has a call that nobody wanted: .*/call-9$`},
		"a message of nobody": {input(true, func(in *store.InputState) {
			in.InputID, in.IdempotencyKey, in.PersistedInput = store.NewInputID(), new("99"), []byte(`{"agent":3,"number":99}`)
		}), `^FAILED agent-03: it has 21 messages, and was sent 20$`},
		"a message lost":    {said(func(l []string) []string { return l[1:] }), `^messages +[\d,]+ +[1-9]\d* +0$`},
		"an answer twice":   {said(func(l []string) []string { return append(l, l[len(l)-1]) }), `^turns +\d+ +0 +1$`},
		"lines in disorder": {said(func(l []string) []string { return append(l[2:], l[0], l[1]) }), `^FAILED agent-03: its conversation is another`},
		"an agent lost": {stored(func(loop *loopstore.Loop) error {
			_, err := loop.DeleteRuntime(t.Context(), third)
			return err
		}), `^inputs +400 +20 +0$`},
		"an input that waits": {stored(func(loop *loopstore.Loop) error {
			return loop.PersistInputState(t.Context(), third, waiting)
		}), `^FAILED agent-03: input ` + waiting.InputID.String() + ` is accepted$`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(whole)))
			require.NoError(t, c.spoil(dir))
			o := new(Outcome)
			require.NoError(t, (&parent{Settings: Settings{Dir: dir}}).check(t.Context(), o))
			require.Equal(t, name == "nothing", o.OK, o.Table())
			require.Regexp(t, `(?m)`+c.says, o.Table())
		})
	}
}

// TestWhatCannotBeDone is an error, and not an outcome.
func TestWhatCannotBeDone(t *testing.T) {
	t.Parallel()
	s := settings(t, 1)
	foreign, err := open(t.Context(), s.Dir)
	require.NoError(t, err)
	require.NoError(t, foreign.PersistRuntimeState(t.Context(), "somebody", store.RuntimeIdle))
	_, err = Run(t.Context(), s, silent)
	require.ErrorIs(t, err, journal.ErrInUse)
	require.NoError(t, foreign.Close())
	_, err = Run(t.Context(), s, silent)
	require.ErrorContains(t, err, "runtime somebody is none of the demo's")

	s = settings(t, 1)
	_, err = Run(t.Context(), s, func(string) { // between two children
		loop, err := open(t.Context(), s.Dir)
		require.NoError(t, err)
		for i := range agents * notes {
			n := (&parent{}).note(i)
			_, _, err := turn.Enqueue(t.Context(), loop, agentID(n.Agent), turn.Message{Key: n.key(), Body: []byte(`{}`)})
			require.NoError(t, err)
		}
		require.NoError(t, loop.Close())
	})
	require.ErrorContains(t, err, "another demo")

	s = settings(t, 1)
	s.Child = func() *exec.Cmd { return exec.Command(os.Args[0], "-test.run", "^$", "-no-such-flag") }
	_, err = Run(t.Context(), s, silent)
	require.ErrorContains(t, err, "flag provided but not defined", "what the child says")

	s = settings(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Run(ctx, s, func(string) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	o, err := Run(t.Context(), s, silent)
	require.NoError(t, err)
	require.True(t, o.OK, "it can be gone on with: %s", o.Table())
}

// TestWhoComplainsIsNotTakenForKilled kills a child after it has complained.
func TestWhoComplainsIsNotTakenForKilled(t *testing.T) {
	t.Parallel()
	p := &parent{saw: make(map[event]int), Settings: Settings{Kills: 1000, Child: func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), served+"="+complaining)
		return cmd
	}}}
	for p.saw[opened] < 3 { // not if it is killed before it says so
		before := p.saw[opened]
		if err := p.live(t.Context(), 0); p.saw[opened] > before {
			require.ErrorContains(t, err, "broken")
		}
	}
}

// TestAWorkerThatFailsEndsTheChild: it does not wait for more notes.
func TestAWorkerThatFailsEndsTheChild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	loop, err := open(t.Context(), dir)
	require.NoError(t, err)
	_, _, err = turn.Enqueue(t.Context(), loop, agentID(0), turn.Message{Body: []byte(`"no note"`)})
	require.NoError(t, errors.Join(err, loop.Close()))
	in, notes := io.Pipe()
	defer func() { require.NoError(t, notes.Close()) }()
	var other *json.UnmarshalTypeError
	require.ErrorAs(t, Serve(t.Context(), dir, in, io.Discard), &other)
}

// TestADemoThatHasJustBegun goes on: it was killed before it had a journal.
func TestADemoThatHasJustBegun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(notebookIn(dir), nil, 0o600))
	require.NoError(t, own(t.Context(), dir))
	require.NoError(t, os.Mkdir(StateIn(dir), 0o700))
	require.NoError(t, own(t.Context(), dir))
}

// TestADirectoryOfSomebodyElse is refused before anything is written to it.
func TestADirectoryOfSomebodyElse(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(dir string) error{
		"another file": func(dir string) error { return os.WriteFile(filepath.Join(dir, "go.mod"), nil, 0o600) },
		"a notebook":   func(dir string) error { return os.WriteFile(notebookIn(dir), []byte("half a line"), 0o600) },
		"a file where the journal would be": func(dir string) error {
			return errors.Join(os.Mkdir(StateIn(dir), 0o700), os.WriteFile(filepath.Join(StateIn(dir), "file"), nil, 0o600))
		},
		"a journal": func(dir string) error {
			loop, err := loopstore.Open(t.Context(), disk.New(StateIn(dir), disk.Options{}), "chat", loopstore.Options{})
			return errors.Join(err, loop.Close())
		},
		"a journal with a notebook": func(dir string) error {
			loop, err := loopstore.Open(t.Context(), disk.New(StateIn(dir), disk.Options{}), "chat", loopstore.Options{})
			return errors.Join(err, loop.Close(), os.WriteFile(notebookIn(dir), []byte("half a line"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := settings(t, 1)
			require.NoError(t, fill(s.Dir))
			before, err := os.ReadDir(s.Dir)
			require.NoError(t, err)
			_, err = Run(t.Context(), s, silent)
			require.ErrorContains(t, err, "none of the demo's: name a new directory")
			after, err := os.ReadDir(s.Dir)
			require.NoError(t, err)
			require.Len(t, after, len(before))
			if text, err := os.ReadFile(notebookIn(s.Dir)); err == nil {
				require.Equal(t, "half a line", string(text))
			}
		})
	}
}
