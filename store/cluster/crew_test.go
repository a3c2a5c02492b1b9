package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

const lease = 15 * time.Second

// A crew is the members of one cluster, in one process.
type crew struct {
	testing.TB
	partitions int
	memory     *journaltest.Memory
	engine     journal.Engine // memory, or what stands before it
	directory  *counting
	members    map[string]*hand
}

// A hand is one of the crew, with its own way to the directory.
type hand struct {
	*cluster.Node
	line *line
}

func newCrew(t testing.TB, partitions int) *crew {
	c := &crew{TB: t, partitions: partitions, memory: journaltest.NewEngine(), members: map[string]*hand{}}
	c.engine, c.directory = c.memory, &counting{Directory: cluster.NewDirectory()}
	t.Cleanup(func() {
		for _, h := range c.members {
			h.line.mend()
			_ = h.Close()
		}
	})
	return c
}

func (c *crew) options(name string) (cluster.Options, *line) {
	l := &line{Directory: c.directory}
	return cluster.Options{
		Cluster: "c", Partitions: c.partitions, Self: cluster.Member{Name: name, Address: name + ":1"},
		Engine: c.engine, Directory: l, Lease: lease,
	}, l
}

func (c *crew) join(names ...string) {
	c.Helper()
	for _, name := range names {
		c.joinWith(name, func(*cluster.Options) {})
	}
}

func (c *crew) joinWith(name string, change func(*cluster.Options)) *hand {
	c.Helper()
	opts, l := c.options(name)
	change(&opts)
	n, err := cluster.Join(context.WithoutCancel(c.Context()), opts)
	require.NoError(c, err)
	h := &hand{n, l}
	c.members[name] = h
	return h
}

// counts are how many partitions each member has open.
func (c *crew) counts() map[string]int {
	counts := map[string]int{}
	for name, h := range c.members {
		counts[name] = len(h.open())
	}
	return counts
}

// open returns the partitions that are open at a member, and served.
func (h *hand) open() (all []int) {
	for p := range h.Status().Partitions {
		if _, ok := h.Local(p); ok {
			all = append(all, p)
		}
	}
	return all
}

// holder returns the one member that serves a partition.
func (c *crew) holder(partition int) string {
	c.Helper()
	var holders []string
	for name, h := range c.members {
		if _, ok := h.Local(partition); ok {
			holders = append(holders, name)
		}
	}
	require.Len(c, holders, 1, "who serves partition %d", partition)
	return holders[0]
}

// remote reaches members of the crew as they are, and so never sends on.
func (c *crew) remote(holder cluster.Member) (store.RuntimeStore, error) {
	if h := c.members[holder.Name]; h != nil {
		return h.Router(nil), nil
	}
	return nil, errors.New("no such member")
}

// in returns the id of a runtime in a partition.
func (c *crew) in(partition int) store.RuntimeID {
	for i := 0; ; i++ {
		if id := store.RuntimeID(fmt.Sprint("r", i)); cluster.PartitionOf(id, c.partitions) == partition {
			return id
		}
	}
}

// errCut is what a cut line fails with.
var errCut = errors.New("the line is cut")

// A line is a member's way to the directory.
type line struct {
	cluster.Directory
	down atomic.Bool // every call fails
	deaf atomic.Bool // writes are done, and fail nevertheless
	late atomic.Bool // every write meets another
	hang atomic.Bool // every call waits until its context ends
	far  atomic.Bool // every answer comes late
}

func (l *line) cut() { l.down.Store(true) }

func (l *line) mend() {
	for _, fault := range []*atomic.Bool{&l.down, &l.deaf, &l.late, &l.hang, &l.far} {
		fault.Store(false)
	}
}

func (l *line) err(ctx context.Context) error {
	if l.hang.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if l.down.Load() {
		return errCut
	}
	return nil
}

func (l *line) Read(ctx context.Context) ([]byte, uint64, error) {
	if err := l.err(ctx); err != nil {
		return nil, 0, err
	}
	text, revision, err := l.Directory.Read(ctx)
	if l.far.Load() {
		time.Sleep(50 * time.Millisecond)
	}
	return text, revision, err
}

func (l *line) Write(ctx context.Context, document []byte, revision uint64) (bool, error) {
	if err := l.err(ctx); err != nil {
		return false, err
	}
	if l.late.Load() {
		return false, nil
	}
	ok, err := l.Directory.Write(ctx, document, revision)
	if l.far.Load() {
		time.Sleep(50 * time.Millisecond)
	}
	if l.deaf.Load() {
		return false, errCut
	}
	return ok, err
}

// counting counts the writes, and the claims that they change.
type counting struct {
	cluster.Directory
	mu      sync.Mutex
	writes  int
	refused int
	moves   int
	latest  document
}

// A document is as the format says.
type document struct {
	Members []struct{ ID, Name string }
	Holders []int `json:"owners"`
}

func (d document) holder(partition int) string {
	if i := d.Holders[partition]; i >= 0 {
		return d.Members[i].ID
	}
	return ""
}

func (d *counting) Write(ctx context.Context, text []byte, revision uint64) (bool, error) {
	ok, err := d.Directory.Write(ctx, text, revision)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !ok {
		d.refused++
		return ok, err
	}
	d.writes++
	var now document
	if err := json.Unmarshal(text, &now); err != nil || now.Holders == nil {
		return ok, nil // a test has written what is no document
	}
	for p := range min(len(d.latest.Holders), len(now.Holders)) {
		if d.latest.holder(p) != now.holder(p) {
			d.moves++
		}
	}
	d.latest = now
	return ok, err
}

// moved is how many claims have changed.
func (d *counting) moved() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.moves
}

// written is how many writes were done.
func (d *counting) written() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes
}

// standing is the document as it was written last.
func (d *counting) standing() document {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.latest
}

// set stores the runtime state by which a test tells what was applied.
func set(ctx context.Context, s store.RuntimeStore, id store.RuntimeID) error {
	return s.PersistRuntimeState(ctx, id, store.RuntimeIdle)
}

// A slow context takes a while at the second look at it: the first is the Router's,
// the next one the loop's.
type slow struct {
	context.Context
	takes time.Duration
	looks int
}

func (s *slow) Err() error {
	if s.looks++; s.looks == 2 {
		time.Sleep(s.takes)
	}
	return s.Context.Err()
}
