package turn_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/turn"
)

// A process dies while it waits for a tool. The next one asks the tool, and goes on.
func Example() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{Queue: turn.Queue}) // or Open, so that it outlives the process
	defer loop.Close()
	for range 2 { // the answer to the first call was lost
		_, repeated, err := turn.Enqueue(ctx, loop, "agent-1", turn.Message{Key: "17", Body: json.RawMessage(`"Book it."`)})
		fmt.Println("enqueued, repeated:", repeated, err)
	}

	t, err := turn.Next(ctx, loop)
	if err != nil {
		panic(err)
	}
	must(t.Begin(ctx, []byte(`{"user":"Book it."}`+"\n")))
	call := turn.Call{ID: "call-1", Tool: "booking"}
	must(t.Intend(ctx, &call, []byte(`{"call":"call-1"}`+"\n")))
	booked := map[string]bool{call.Key(): true} // the tool did it; the process died before it knew

	t, err = turn.Recover(ctx, loop, "agent-1")
	if err != nil {
		panic(err)
	}
	for _, call := range t.MaybeDone() {
		fmt.Println("was it done?", call.Tool, booked[call.Key()])
		must(t.Result(ctx, call.ID, json.RawMessage(`"booked"`), []byte(`{"result":"booked"}`+"\n")))
	}
	must(t.Finish(ctx, []byte(`{"assistant":"It is booked."}`+"\n")))
	text, _, err := loop.LoadSessionSnapshot(ctx, "agent-1")
	fmt.Print(string(text))
	must(err)
	// Output:
	// enqueued, repeated: false <nil>
	// enqueued, repeated: true <nil>
	// was it done? booking true
	// {"user":"Book it."}
	// {"call":"call-1"}
	// {"result":"booked"}
	// {"assistant":"It is booked."}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
