package turns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/turn"
)

// A test binary that has these variables works on the kind of storage in the directory, and
// dies when it calls the tool.
const dieOn, dieIn = "TURNS_TEST_KIND", "TURNS_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dieIn); dir != "" {
		fmt.Println(die(context.Background(), os.Getenv(dieOn), dir)) // it does not come to that
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func die(ctx context.Context, kind, dir string) error {
	s, err := Open(ctx, kind, dir)
	if err != nil {
		return err
	}
	t, err := s.Next(ctx)
	if err != nil {
		return err
	}
	return Serve(ctx, s, t, func(turn.Call) (string, error) {
		me, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = me.Kill()
		}
		time.Sleep(time.Minute) // until it is dead
		return "", err
	})
}

func open(t *testing.T, kind, dir string) Storage {
	s, err := Open(t.Context(), kind, dir)
	require.NoError(t, err)
	return s
}

// TestBothDoTheSame has each kind of storage through the same story, and compares what each
// step answers, and the conversations.
func TestBothDoTheSame(t *testing.T) {
	told := make(map[string][]string)
	for _, kind := range Kinds {
		t.Run(kind, func(t *testing.T) { told[kind] = story(t, kind) })
	}
	for _, kind := range Kinds[1:] {
		assert.Equal(t, told[Kinds[0]], told[kind], kind)
	}
}

func story(t *testing.T, kind string) (told []string) {
	ctx, dir := t.Context(), t.TempDir()
	tell := func(what ...any) { told = append(told, fmt.Sprintln(what...)) }
	s := open(t, kind, dir)
	enqueue := func(agent store.RuntimeID, key, text string) {
		repeated, err := s.Enqueue(ctx, agent, key, Say(text))
		require.NoError(t, err)
		tell("enqueued for", agent, key, "repeated", repeated)
	}
	next := func() Turn {
		next, err := s.Next(ctx)
		require.NoError(t, err)
		tell("claimed", next.Agent(), string(next.Message()), next.Begun())
		return next
	}
	nothing := func() {
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		_, err := s.Next(short)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	calls := make(map[string]int)
	note := func(c turn.Call) (string, error) {
		calls[c.Key()]++
		return Note(c)
	}
	recovered := func() []Turn {
		all, err := s.Recover(ctx)
		require.NoError(t, err)
		for _, r := range all {
			tell("recovered", r.Agent(), string(r.Message()), r.Begun())
			for _, c := range r.MaybeDone() {
				tell("maybe done", c.ID, c.Tool, string(c.Arguments))
			}
		}
		return all
	}

	// A message is stored once however often it is sent, and an agent has one turn at a time.
	enqueue("anna", "1", "Hello")
	enqueue("anna", "1", "Hello")
	enqueue("anna", "2", "Again")
	enqueue("bert", "1", "Hi")
	enqueue("bert", "", "without a key")
	enqueue("bert", "", "without a key")
	anna := next()
	bert := next()
	nothing()
	waiting := make(chan Turn)
	go func() {
		patient, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		next, err := s.Next(patient)
		assert.NoError(t, err)
		waiting <- next
	}()
	require.NoError(t, Serve(ctx, s, anna, note))
	anna = <-waiting
	require.NotNil(t, anna)
	tell("after the first turn", anna.Agent(), string(anna.Message()))
	enqueue("anna", "1", "Hello") // it is still known
	nothing()

	// Who was thought dead, and comes back, is refused, whatever it does next.
	require.NoError(t, bert.Begin(ctx, bert.Message()))
	for _, r := range recovered() { // anna's was not begun
		require.ErrorIs(t, bert.Finish(ctx, []byte("{}\n")), store.ErrConflict)
		require.ErrorIs(t, bert.Intend(ctx, &turn.Call{ID: "x", Tool: "x"}, []byte("{}\n")), store.ErrConflict)
		require.NoError(t, Serve(ctx, s, r, note))
	}
	require.ErrorIs(t, anna.Begin(ctx, anna.Message()), store.ErrConflict)
	stale := next() // it waits again
	require.ErrorIs(t, anna.Begin(ctx, anna.Message()), store.ErrConflict)
	call := turn.Call{ID: "note", Tool: "notebook", Arguments: json.RawMessage(`"Again"`)}
	require.NoError(t, stale.Begin(ctx, stale.Message()))
	require.NoError(t, stale.Intend(ctx, &call, line{Role: "assistant", Call: &call}.json()))
	var unfinished *turn.CallError
	require.ErrorAs(t, stale.Finish(ctx, nil), &unfinished, "no turn ends with a call that may have been made")
	for _, r := range recovered() {
		require.ErrorIs(t, stale.Result(ctx, "note", json.RawMessage(`1`), []byte("{}\n")), store.ErrConflict)
		require.NoError(t, Serve(ctx, s, r, note))
	}
	for range 2 {
		require.NoError(t, Serve(ctx, s, next(), note))
	}

	// A process dies between the call's intent and its result.
	enqueue("carl", "1", "Do it")
	require.NoError(t, s.Close())
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), dieOn+"="+kind, dieIn+"="+dir)
	out, err := child.Output()
	var died *exec.ExitError
	require.ErrorAs(t, err, &died)
	require.False(t, died.Exited(), "it was killed; it said %s", out)
	s = open(t, kind, dir)
	for _, r := range recovered() {
		require.NoError(t, Serve(ctx, s, r, note))
	}
	require.Empty(t, recovered())

	require.NoError(t, s.Compact(ctx))
	for _, agent := range []store.RuntimeID{"anna", "bert", "carl", "nobody"} {
		text, err := s.Conversation(ctx, agent)
		require.NoError(t, err)
		tell(agent, "said", string(text))
	}
	require.NoError(t, s.Close())
	tell("calls", len(calls))
	for _, n := range calls {
		assert.Equal(t, 1, n)
	}
	return told
}

// TestAMessageGoesToOneWorker has many workers at many messages, of which some are sent twice.
func TestAMessageGoesToOneWorker(t *testing.T) {
	const agents, each = 8, 6
	for _, kind := range Kinds {
		t.Run(kind, func(t *testing.T) {
			s := open(t, kind, t.TempDir())
			defer func() { require.NoError(t, s.Close()) }()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var workers, senders sync.WaitGroup
			var mu sync.Mutex
			done, again := make(map[string]int), 0
			for range 4 {
				workers.Go(func() {
					for {
						next, err := s.Next(ctx)
						if errors.Is(err, context.Canceled) {
							return
						}
						if !assert.NoError(t, err) || !assert.NoError(t, Serve(t.Context(), s, next, Note)) {
							stop()
							return
						}
						mu.Lock()
						if done[string(next.Agent())+string(next.Message())]++; len(done) == agents*each {
							stop()
						}
						mu.Unlock()
					}
				})
			}
			for a := range agents {
				for range 2 {
					senders.Go(func() {
						for n := range each {
							repeated, err := s.Enqueue(t.Context(), store.RuntimeID(fmt.Sprint(a)), fmt.Sprint(n), Say(fmt.Sprint(n)))
							assert.NoError(t, err)
							if repeated {
								mu.Lock()
								again++
								mu.Unlock()
							}
						}
					})
				}
			}
			senders.Wait()
			workers.Wait()
			assert.Equal(t, agents*each, again)
			assert.Len(t, done, agents*each)
			for _, n := range done {
				assert.Equal(t, 1, n)
			}
			for a := range agents {
				text, err := s.Conversation(t.Context(), store.RuntimeID(fmt.Sprint(a)))
				require.NoError(t, err)
				var said []string
				for l := range strings.Lines(string(text)) {
					var m line
					require.NoError(t, json.Unmarshal([]byte(l), &m))
					if m.Role == "user" {
						said = append(said, m.Text)
					}
				}
				assert.Equal(t, []string{"0", "1", "2", "3", "4", "5"}, said)
			}
		})
	}
}

func TestMeasure(t *testing.T) {
	for _, kind := range Kinds {
		t.Run(kind, func(t *testing.T) {
			seed, dir := t.TempDir(), filepath.Join(t.TempDir(), "copy")
			kept, err := Seed(t.Context(), kind, seed, 3, 2)
			require.NoError(t, err)
			assert.Positive(t, kept)
			require.NoError(t, os.CopyFS(dir, os.DirFS(seed)))
			got, err := Measure(t.Context(), Cell{Kind: kind, Dir: dir, Conversations: 3, Workers: 2, Turns: 10, Time: time.Minute})
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip(err)
			}
			require.NoError(t, err)
			assert.Greater(t, got.Written, int64(2000), "more than was said")
			assert.GreaterOrEqual(t, got.Commits, 3.0, "each step is made durable, some with others")
			assert.LessOrEqual(t, got.Commits, 6.0)
			assert.Positive(t, got.Turn)
			assert.LessOrEqual(t, got.P50, got.P99)

			s := open(t, kind, dir)
			defer func() { require.NoError(t, s.Close()) }()
			messages := 0
			for n := range 3 {
				text, err := s.Conversation(t.Context(), agent(n))
				require.NoError(t, err)
				messages += strings.Count(string(text), "\n")
			}
			assert.Equal(t, 4*(3*2+10), messages, "the turns go on with the conversations")
		})
	}
	_, err := Open(t.Context(), "paper", t.TempDir())
	require.Error(t, err)
	assert.True(t, slices.ContainsFunc(Kinds, func(k string) bool { return Lines(k) > 20 }))
	assert.Less(t, Lines("loop"), Lines("sqlite-full"))
}
