package loopstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// One line shows the figures of a store under /debug/vars.
func ExampleLoop_Stats() {
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	if expvar.Get("loopstore") == nil { // with -count this runs again, and a name can be published once
		expvar.Publish("loopstore", expvar.Func(func() any { return loop.Stats() }))
	}

	if err := loop.PersistRuntimeState(context.Background(), "agent-1", store.RuntimeIdle); err != nil {
		panic(err)
	}
	stats := loop.Stats()
	fmt.Println(stats.Held.Runtimes, "runtime,", stats.Operations[ops.KindPersistRuntimeState].Done, "write")

	var shown struct {
		InboxSize  int `json:"inbox_size"`
		Operations map[string]loopstore.Operations
	}
	if err := json.Unmarshal([]byte(expvar.Get("loopstore").String()), &shown); err != nil {
		panic(err)
	}
	fmt.Println(shown.InboxSize, shown.Operations["persist_runtime_state"].Done)
	// Output:
	// 1 runtime, 1 write
	// 128 1
}

// A call that would go beyond a limit changes nothing, and says which one.
func ExampleOptions_limits() {
	loop := loopstore.New(loopstore.Options{
		Limits:         store.Limits{SnapshotBytes: 1 << 20, BatchWrites: 100, InputsPerRuntime: 10_000, TotalBytes: 1 << 30},
		BytesInFlight:  64 << 20,
		RefuseWhenFull: true,
	})
	defer loop.Close()

	_, err := loop.CommitSessionBoundary(context.Background(), "agent-1", store.BoundaryCommit{
		Session:  store.SessionDelta{SessionSnapshot: make([]byte, 2<<20)},
		Boundary: store.RunStart,
	})
	fmt.Println(errors.Is(err, store.ErrLimit), errors.Is(err, store.ErrBusy))
	if limit, ok := errors.AsType[*store.LimitError](err); ok {
		fmt.Println(limit.Limit, limit.Most, limit.Asked)
	}
	// Output:
	// true false
	// snapshot_bytes 1048576 2097152
}
