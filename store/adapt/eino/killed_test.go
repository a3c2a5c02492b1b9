package eino_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cloudwego/eino/adk"
	"github.com/cloudwego/eino/components/model"
	"github.com/cloudwego/eino/components/tool"
	"github.com/cloudwego/eino/compose"
	"github.com/cloudwego/eino/schema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/adapt/eino"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/turn"
)

// A test binary that has this variable is an agent's process, to be killed.
const lives, approves = "EINO_TEST_DIR", "EINO_TEST_APPROVES"

func TestMain(m *testing.M) {
	if dir := os.Getenv(lives); dir != "" {
		if err := live(context.Background(), dir, os.Getenv(approves) != ""); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const anna, checkPoint = "anna", "message-1"

var options = loopstore.Options{Queue: turn.Queue}

// An agent answers one message, and has a tool that must be approved. It is the model and the
// tool, too, and says what it is about to do: there it may be killed.
type agent struct {
	*loopstore.Loop

	turn *turn.Turn
	paid string // a file with a line for each payment
}

func (a *agent) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	fmt.Println("a commit")
	defer fmt.Println("was made")
	return a.Loop.Commit(ctx, b)
}

// live runs the process until the message is answered, or nobody approves.
func live(ctx context.Context, dir string, approved bool) error {
	loop, err := loopstore.Open(ctx, disk.New(filepath.Join(dir, "state"), disk.Options{}), "p", options)
	if err != nil {
		return err
	}
	defer loop.Close()
	a := &agent{Loop: loop, paid: filepath.Join(dir, "paid")}
	checkPoints := eino.CheckPoints{Store: a}
	in, _, err := turn.Enqueue(ctx, a, anna, turn.Message{Key: "1", Body: json.RawMessage(`"Pay Anna."`)})
	if err != nil {
		return err
	}
	if a.turn, err = turn.Recover(ctx, a, anna); err != nil {
		return err
	}
	if a.turn == nil && in.State.CurrentState != store.InputConsumed {
		if a.turn, err = turn.Next(ctx, a); err != nil {
			return err
		}
	}
	if a.turn != nil {
		if err := a.answer(ctx, checkPoints, approved); err != nil {
			return err
		}
	}
	if err := checkPoints.Delete(ctx, checkPoint); err != nil {
		return err
	}
	fmt.Println("done")
	return nil
}

// answer does the turn, or what is left of it.
func (a *agent) answer(ctx context.Context, checkPoints eino.CheckPoints, approved bool) error {
	if !a.turn.Begun() {
		lines, err := eino.Encode(schema.UserMessage("Pay Anna."))
		if err != nil {
			return err
		}
		if err := a.turn.Begin(ctx, lines); err != nil {
			return err
		}
	}
	graph, err := adk.NewChatModelAgent(ctx, &adk.ChatModelAgentConfig{
		Name: anna, Description: "pays", Model: a,
		ToolsConfig: adk.ToolsConfig{ToolsNodeConfig: compose.ToolsNodeConfig{Tools: []tool.BaseTool{a}}},
	})
	if err != nil {
		return err
	}
	runner := adk.NewRunner(ctx, adk.RunnerConfig{Agent: graph, CheckPointStore: checkPoints})
	_, waits, err := checkPoints.Get(ctx, checkPoint)
	if err != nil {
		return err
	}
	var events *adk.AsyncIterator[*adk.AgentEvent]
	if waits {
		events, err = runner.Resume(ctx, checkPoint)
	} else if said, failed := a.said(ctx); failed == nil {
		if said[len(said)-1].Role == schema.Assistant {
			said = said[:len(said)-1] // the model is to say it again
		}
		events = runner.Run(ctx, said, adk.WithCheckPointID(checkPoint))
	} else {
		err = failed
	}
	for {
		if err != nil {
			return err
		}
		answer, interrupt, err := last(events)
		if err != nil {
			return err
		}
		if interrupt == "" {
			lines, err := eino.Encode(answer)
			if err != nil {
				return err
			}
			return a.turn.Finish(ctx, lines)
		}
		fmt.Println("waits")
		if !approved {
			_, err := io.Copy(io.Discard, os.Stdin) // until it is killed
			return err
		}
		events, err = runner.ResumeWithParams(ctx, checkPoint, &adk.ResumeParams{Targets: map[string]any{interrupt: true}})
		if err != nil {
			return err
		}
	}
}

// last returns the last message of a run, or what it waits for.
func last(events *adk.AsyncIterator[*adk.AgentEvent]) (answer *schema.Message, interrupt string, err error) {
	for {
		e, ok := events.Next()
		switch {
		case !ok:
			return answer, interrupt, err
		case e.Err != nil:
			err = errors.Join(err, e.Err)
		case e.Action != nil && e.Action.Interrupted != nil:
			interrupt = e.Action.Interrupted.InterruptContexts[0].ID
		case e.Output != nil:
			answer = e.Output.MessageOutput.Message
		}
	}
}

func (a *agent) said(ctx context.Context) ([]*schema.Message, error) {
	lines, _, err := a.LoadSessionSnapshot(ctx, anna)
	if err != nil {
		return nil, err
	}
	return eino.Decode(lines)
}

// Generate is the model: it calls the tool, and then says so.
func (a *agent) Generate(ctx context.Context, _ []*schema.Message, _ ...model.Option) (*schema.Message, error) {
	said, err := a.said(ctx)
	if err != nil {
		return nil, err
	}
	switch m := said[len(said)-1]; m.Role {
	case schema.Assistant:
		return m, nil // said, and then the process died
	case schema.Tool:
		return schema.AssistantMessage("Anna is "+m.Content+".", nil), nil // Finish stores it
	}
	m := schema.AssistantMessage("", []schema.ToolCall{{ID: "call-1", Type: "function", Function: schema.FunctionCall{Name: "pay", Arguments: `{"to":"Anna"}`}}})
	m.Extra = map[string]any{"id": requestID("r-1")}
	lines, err := eino.Encode(m)
	if err != nil {
		return nil, err
	}
	return m, a.turn.Checkpoint(ctx, lines)
}

func (a *agent) Stream(context.Context, []*schema.Message, ...model.Option) (*schema.StreamReader[*schema.Message], error) {
	return nil, errors.ErrUnsupported
}

func (a *agent) WithTools([]*schema.ToolInfo) (model.ToolCallingChatModel, error) { return a, nil }

func (a *agent) Info(context.Context) (*schema.ToolInfo, error) {
	return &schema.ToolInfo{Name: "pay", Desc: "pays somebody"}, nil
}

// InvokableRun is the tool. A graph that is resumed again calls it again.
func (a *agent) InvokableRun(ctx context.Context, arguments string, _ ...tool.Option) (string, error) {
	id := compose.GetToolCallID(ctx)
	said, err := a.said(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range said {
		if m.ToolCallID == id {
			return m.Content, nil
		}
	}
	call := turn.Call{ID: id, Tool: "pay", Arguments: json.RawMessage(arguments)}
	intended, made := slices.IndexFunc(a.turn.MaybeDone(), func(c turn.Call) bool { return c.ID == id }), false
	if intended < 0 {
		if approved, _, _ := tool.GetResumeContext[bool](ctx); !approved {
			return "", tool.Interrupt(ctx, "Pay Anna?")
		}
		err = a.turn.Intend(ctx, &call, nil)
	} else if call = a.turn.MaybeDone()[intended]; slices.Contains(payments(a.paid), call.Key()) {
		made = true // nobody looks but for what is maybe done
	} else {
		err = a.turn.Again(ctx, id)
	}
	if err != nil {
		return "", err
	}
	if !made {
		if err := pay(a.paid, call.Key()); err != nil {
			return "", err
		}
	}
	lines, err := eino.Encode(schema.ToolMessage("paid", id))
	if err != nil {
		return "", err
	}
	return "paid", a.turn.Result(ctx, id, json.RawMessage(`"paid"`), lines)
}

func pay(file, key string) error {
	fmt.Println("a payment")
	defer fmt.Println("was made")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, key)
	return errors.Join(err, f.Close())
}

func payments(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil // nothing was paid yet
	}
	return strings.Fields(string(text))
}

// run runs a process until it has said so much, and then kills it, or until it ends. It
// returns what it said.
func run(t *testing.T, dir string, approved bool, until func(said []string) bool) (said []string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), lives+"="+dir)
	if approved {
		cmd.Env = append(cmd.Env, approves+"=1")
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer func() { _ = in.Close() }()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said = append(said, lines.Text())
		if until(said) {
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()
			return said
		}
	}
	require.NoError(t, cmd.Wait())
	return said
}

func never([]string) bool { return false }

// paidOnce looks at what the processes have left.
func paidOnce(t *testing.T, dir string) {
	ctx := t.Context()
	loop, err := loopstore.Open(ctx, disk.New(filepath.Join(dir, "state"), disk.Options{}), "p", options)
	require.NoError(t, err)
	defer loop.Close()
	said, err := (&agent{Loop: loop}).said(ctx)
	require.NoError(t, err)
	require.Len(t, said, 4)
	assert.Equal(t, schema.UserMessage("Pay Anna."), said[0])
	assert.Equal(t, "call-1", said[1].ToolCalls[0].ID)
	assert.Equal(t, requestID("r-1"), said[1].Extra["id"])
	assert.Equal(t, schema.ToolMessage("paid", "call-1"), said[2])
	assert.Equal(t, "Anna is paid.", said[3].Content)
	assert.Len(t, payments(filepath.Join(dir, "paid")), 1)
	view, err := loop.View(ctx, anna)
	require.NoError(t, err)
	assert.Equal(t, map[store.InputLifecycleState]int{store.InputConsumed: 2}, view.CountInputStates(), "a message and a call")
	_, waits, err := eino.CheckPoints{Store: loop}.Get(ctx, checkPoint)
	require.NoError(t, err)
	assert.False(t, waits)
}

func needsDisk(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the disk engine refuses Windows")
	}
}

// TestAnApprovalOutlivesItsProcess: a run waits for one, its process is killed, and the next
// process has it approved.
func TestAnApprovalOutlivesItsProcess(t *testing.T) {
	needsDisk(t)
	dir := t.TempDir()
	run(t, dir, false, func(said []string) bool { return said[len(said)-1] == "waits" })
	assert.Empty(t, payments(filepath.Join(dir, "paid")), "nobody has approved")
	run(t, dir, false, func(said []string) bool { return said[len(said)-1] == "waits" })
	assert.Empty(t, payments(filepath.Join(dir, "paid")), "it waits still")
	said := run(t, dir, true, never)
	assert.Equal(t, "done", said[len(said)-1])
	paidOnce(t, dir)
}

// TestKilledAtEachStep kills a process when it has said so much, the next one at some other
// step, and lets a third one end.
func TestKilledAtEachStep(t *testing.T) {
	needsDisk(t)
	dir, random := t.TempDir(), rand.New(rand.NewPCG(3, 4))
	steps := len(run(t, dir, true, never))
	paidOnce(t, dir)
	require.Greater(t, steps, 15)
	for step := 1; step < steps; step++ {
		if testing.Short() && step%4 != 1 {
			continue
		}
		dir := t.TempDir()
		for _, at := range []int{step, 1 + random.IntN(steps-1)} {
			run(t, dir, true, func(said []string) bool { return len(said) == at })
		}
		run(t, dir, true, never)
		paidOnce(t, dir)
		if t.Failed() {
			t.Fatalf("killed at step %d", step)
		}
	}
}
