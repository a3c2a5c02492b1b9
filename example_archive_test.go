package loopstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
)

// What a loop holds goes to a file, and from there into another loop.
func ExampleLoop_Export() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	if err := loop.PersistRuntimeState(ctx, "agent-1", store.RuntimeIdle); err != nil {
		panic(err)
	}
	var file bytes.Buffer
	if err := loop.Export(ctx, &file); err != nil {
		panic(err)
	}

	next := loopstore.New(loopstore.Options{})
	defer next.Close()
	altered := bytes.Replace(file.Bytes(), []byte("idle"), []byte("wild"), 1)
	_, err := next.Import(ctx, bytes.NewReader(altered))
	if refusal, ok := errors.AsType[*archive.Error](err); ok {
		fmt.Println("wrong on line", refusal.Line)
	}

	held, err := next.Import(ctx, &file)
	fmt.Println(held.Runtimes, err)
	state, _, err := next.LoadRuntimeState(ctx, "agent-1")
	fmt.Println(state, err)
	// Output:
	// wrong on line 2
	// 1 <nil>
	// idle <nil>
}
