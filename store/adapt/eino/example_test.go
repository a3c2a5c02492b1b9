package eino_test

import (
	"context"
	"fmt"

	"github.com/cloudwego/eino/compose"
	"github.com/cloudwego/eino/schema"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/adapt/eino"
	"github.com/loopstore/loopstore/store/batch"
)

// A payment waits for its approval. What comes after that may be another process.
func Example() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{}) // or Open, so that it outlives the process
	defer loop.Close()
	checkPoints := eino.CheckPoints{Store: loop}

	graph := compose.NewGraph[*schema.Message, *schema.Message]()
	must(graph.AddLambdaNode("pay", compose.InvokableLambda(func(ctx context.Context, m *schema.Message) (*schema.Message, error) {
		if approved, _, _ := compose.GetResumeContext[bool](ctx); !approved {
			return nil, compose.StatefulInterrupt(ctx, m.ToolCalls[0].Function.Name, m)
		}
		_, _, m = compose.GetInterruptState[*schema.Message](ctx)
		return schema.ToolMessage("paid", m.ToolCalls[0].ID), nil
	})))
	must(graph.AddEdge(compose.START, "pay"))
	must(graph.AddEdge("pay", compose.END))
	run, err := graph.Compile(ctx, compose.WithCheckPointStore(checkPoints))
	must(err)
	say := func(messages ...*schema.Message) {
		lines, err := eino.Encode(messages...)
		must(err)
		_, err = loop.Commit(ctx, batch.Batch{Then: []batch.Write{
			batch.PutSnapshot{RuntimeID: "anna", Snapshot: lines, Format: store.FormatLines, Append: true},
		}})
		must(err)
	}

	call := schema.AssistantMessage("", []schema.ToolCall{{ID: "call-1", Function: schema.FunctionCall{Name: "pay"}}})
	say(schema.UserMessage("Pay Anna."), call)
	_, err = run.Invoke(ctx, call, compose.WithCheckPointID("run-1"))
	waits, _ := compose.ExtractInterruptInfo(err)
	fmt.Println("approve?", waits.InterruptContexts[0].Info)

	ctx = compose.ResumeWithData(ctx, waits.InterruptContexts[0].ID, true)
	result, err := run.Invoke(ctx, nil, compose.WithCheckPointID("run-1"))
	must(err)
	say(result)
	must(checkPoints.Delete(ctx, "run-1"))
	lines, _, err := loop.LoadSessionSnapshot(ctx, "anna")
	must(err)
	messages, err := eino.Decode(lines)
	for _, m := range messages {
		fmt.Printf("%s: %q\n", m.Role, m.Content)
	}
	must(err)
	// Output:
	// approve? pay
	// user: "Pay Anna."
	// assistant: ""
	// tool: "paid"
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
