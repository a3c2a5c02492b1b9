package turn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/turn"
)

// A worker takes one turn after another, of any agent. Several may run beside each other.
// When a process starts, it first goes on with what the last one has left.
func Example_worker() {
	ctx, stop := context.WithCancel(context.Background())
	loop := loopstore.New(loopstore.Options{Queue: turn.Queue}) // or Open
	defer loop.Close()
	if err := recoverAll(ctx, loop); err != nil {
		fmt.Println(err)
	}
	worked := make(chan error)
	go func() { worked <- work(ctx, loop) }()

	_, _, err := turn.Enqueue(ctx, loop, "agent-1", turn.Message{Body: json.RawMessage(`"How late is it?"`)})
	fmt.Println("enqueued:", err)
	for view, err := range loop.Watch(ctx, "agent-1", 0) {
		if err != nil {
			fmt.Println(err)
			break
		}
		if state, _ := view.RuntimeState(); state == store.RuntimeIdle { // the turn has ended
			conversation, _ := view.Snapshot()
			fmt.Print(conversation)
			break
		}
	}
	stop()
	fmt.Println("stopped:", errors.Is(<-worked, context.Canceled))
	// Output:
	// enqueued: <nil>
	// {"role":"user","content":"How late is it?"}
	// {"role":"assistant","tool_calls":[{"id":"call-1","function":{"name":"clock","arguments":"{}"}}]}
	// {"role":"tool","tool_call_id":"call-1","content":"noon"}
	// {"role":"assistant","content":"It is noon."}
	// stopped: true
}

// recoverAll goes on with each turn that an earlier process has left.
func recoverAll(ctx context.Context, loop *loopstore.Loop) error {
	for left, err := range loop.Runtimes(ctx, turn.UnderWay) {
		if err != nil {
			return err
		}
		t, err := turn.Recover(ctx, loop, left.RuntimeID)
		if err == nil && t != nil {
			err = take(ctx, loop, t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// work goes on until its context or the store ends, or a turn fails.
func work(ctx context.Context, loop *loopstore.Loop) error {
	for {
		t, err := turn.Next(ctx, loop)
		if err != nil {
			return err
		}
		if err := take(ctx, loop, t); err != nil {
			return err
		}
	}
}

// take goes through a turn, from wherever it stands.
func take(ctx context.Context, loop *loopstore.Loop, t *turn.Turn) error {
	if !t.Begun() {
		if err := t.Begin(ctx, fmt.Appendf(nil, `{"role":"user","content":%s}`+"\n", t.Input().PersistedInput)); err != nil {
			return err
		}
	}
	for _, call := range t.MaybeDone() { // after a crash
		if err := t.Again(ctx, call.ID); err != nil { // a clock may be asked twice; with a payment, ask whether it was made
			return err
		}
		if err := result(ctx, t, call, clock(call)); err != nil {
			return err
		}
	}
	for {
		conversation, _, err := loop.LoadSessionSnapshot(ctx, t.Agent())
		if err != nil {
			return err
		}
		answer, call := model(conversation)
		if call == nil {
			return t.Finish(ctx, answer)
		}
		if err := t.Intend(ctx, call, answer); err != nil {
			return err
		}
		if err := result(ctx, t, *call, clock(*call)); err != nil { // it is called when Intend has recorded it
			return err
		}
	}
}

// model answers a conversation, and may ask for a call.
func model(conversation []byte) (answer []byte, call *turn.Call) {
	if bytes.Contains(conversation, []byte(`{"role":"tool"`)) {
		return []byte(`{"role":"assistant","content":"It is noon."}` + "\n"), nil
	}
	call = &turn.Call{ID: "call-1", Tool: "clock"}
	return fmt.Appendf(nil, `{"role":"assistant","tool_calls":[{"id":%q,"function":{"name":%q,"arguments":"{}"}}]}`+"\n", call.ID, call.Tool), call
}

// result records what came of a call, in the ledger and in the conversation.
func result(ctx context.Context, t *turn.Turn, call turn.Call, came json.RawMessage) error {
	return t.Result(ctx, call.ID, came, fmt.Appendf(nil, `{"role":"tool","tool_call_id":%q,"content":%s}`+"\n", call.ID, came))
}

// clock is a tool.
func clock(turn.Call) json.RawMessage { return json.RawMessage(`"noon"`) }
