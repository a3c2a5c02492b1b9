package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// Two members in one process, each with a half of the partitions. In a real
// cluster the engine and the directory are replicated, and the members are apart.
func Example() {
	ctx := context.Background()
	engine := journaltest.NewEngine()
	nodes := map[string]*cluster.Node{}
	for _, name := range []string{"a", "b"} {
		node, err := cluster.Join(ctx, cluster.Options{
			Cluster: "agents", Partitions: 8, Self: cluster.Member{Name: name}, Engine: engine,
			Assign: func(partition int) cluster.Member {
				return cluster.Member{Name: []string{"a", "b"}[partition%2]}
			},
		})
		if err != nil {
			log.Fatal(err)
		}
		defer func() { _ = node.Close() }()
		nodes[name] = node
	}

	// What serves others has no Remote; it answers for its own partitions alone.
	remote := func(holder cluster.Member) (store.RuntimeStore, error) {
		return nodes[holder.Name].Router(nil), nil // with an RPC: a client of holder.Address
	}
	router := nodes["a"].Router(remote)
	for _, id := range []store.RuntimeID{"agent-1", "agent-4"} {
		if err := router.PersistRuntimeState(ctx, id, store.RuntimeIdle); err != nil {
			log.Fatal(err)
		}
		partition := cluster.PartitionOf(id, 8)
		fmt.Println(id, "is in partition", partition, "of", nodes["b"].Status().Partitions[partition].Holder)
	}
	// Output:
	// agent-1 is in partition 4 of "a"
	// agent-4 is in partition 5 of "b"
}

// Members that see each other in a directory, one of which leaves.
func ExampleJoin() {
	ctx := context.Background()
	engine, directory := journaltest.NewEngine(), cluster.NewDirectory()
	join := func(name string) *cluster.Node {
		node, err := cluster.Join(ctx, cluster.Options{
			Cluster: "agents", Partitions: 8, Self: cluster.Member{Name: name, Address: name + ".example:4000"},
			Engine: engine, Directory: directory,
		})
		if err != nil {
			log.Fatal(err)
		}
		return node
	}
	a, b := join("a"), join("b")
	defer func() { _ = b.Close() }()
	fmt.Println(a.Router(nil).PersistRuntimeState(ctx, "agent-1", store.RuntimeIdle))

	err := b.Router(nil).PersistRuntimeState(ctx, "agent-1", store.RuntimeIdle)
	if e, ok := errors.AsType[*cluster.NotHolderError](err); ok {
		fmt.Println("nothing was applied: send it to", e.Holder.Address)
	}
	if err := a.Close(); err != nil { // b opens them with its next beat
		log.Fatal(err)
	}
	fmt.Println(a.Router(nil).PersistRuntimeState(ctx, "agent-1", store.RuntimeIdle))
	// Output:
	// <nil>
	// nothing was applied: send it to a.example:4000
	// persist_runtime_state of runtime "agent-1": cluster: partition is not served here: partition 4, "b" at "b.example:4000" holds it or is about to (nothing was applied)
}
