// Package crew is a cluster in one process, for a demo: members and NATS servers, some of
// which fail.
package crew

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest"
)

// Servers is how many NATS servers there are.
const Servers = 3

const (
	clusterName = "demo"
	partitions  = 12
	lease       = 2 * time.Second
)

// A Crew is the members of a cluster and the NATS servers that keep its partitions,
// all in this process. After a member was killed another takes its seat.
type Crew struct {
	dir     string
	servers *jetstreamtest.Cluster
	seats   []atomic.Pointer[member] // nil while a seat is free
	ending  sync.WaitGroup           // of members that were killed

	mu      sync.RWMutex
	members []*member // in the order in which they joined, with those that were killed

	runs  ledger
	calls outcomes
	seen  takeover
	told  Report
}

// A member stands for a process of a real cluster: it has its own connection, node
// and routers.
type member struct {
	cluster.Member
	conn   *nats.Conn
	engine *jetstream.Engine
	node   *cluster.Node
	served *cluster.Router // for other members
	router *cluster.Router // for callers
	killed atomic.Bool
	left   error // what Close returned, if it was killed; to be read after crew.ending
}

// Start starts the servers and the members, and returns when each member serves its
// share. After an error nothing is left behind.
func Start(ctx context.Context, members int) (*Crew, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := &Crew{seats: make([]atomic.Pointer[member], members)}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Crew) start(ctx context.Context) (err error) {
	if c.dir, err = os.MkdirTemp("", "loopstore-demo-"); err != nil {
		return err
	}
	if c.servers, err = jetstreamtest.Start(ctx, c.dir, jetstreamtest.Options{Nodes: Servers}); err != nil {
		return err
	}
	for seat := range c.seats {
		if err := c.join(ctx, seat); err != nil {
			return err
		}
	}
	if !c.await(ctx, c.balanced) {
		return fmt.Errorf("the members have not begun to serve their partitions: %w", context.Cause(ctx))
	}
	return nil
}

// await waits until so returns true. It returns false if ctx ends first.
func (c *Crew) await(ctx context.Context, so func() bool) bool {
	for !so() {
		if !wait(ctx, 20*time.Millisecond) {
			return false
		}
	}
	return true
}

// join lets a new member take a seat.
func (c *Crew) join(ctx context.Context, seat int) (err error) {
	m := &member{}
	if m.conn, err = c.servers.Connect(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			m.conn.Close()
		}
	}()
	if m.engine, err = jetstream.New(m.conn, jetstream.Options{}); err != nil {
		return err
	}
	directory, err := m.engine.Directory(clusterName)
	if err != nil {
		return err
	}
	m.Member = cluster.Member{Name: string(rune('a' + seat)), Address: fmt.Sprintf("local:%d", len(c.all())+1)}
	if _, _, err := directory.Read(ctx); err != nil { // the first read creates it, which may take longer than a beat
		return err
	}
	m.node, err = joinSlowly(ctx, cluster.Options{
		Cluster: clusterName, Partitions: partitions, Self: m.Member, Engine: m.engine, Directory: directory, Lease: lease,
	})
	if err != nil {
		return err
	}
	m.served, m.router = m.node.Router(nil), m.node.Router(c.remote)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = append(c.members, m)
	c.seats[seat].Store(m)
	return nil
}

// joinSlowly tries several times: the lease is so short that a directory that is slow
// for a moment makes Join fail.
func joinSlowly(ctx context.Context, opts cluster.Options) (node *cluster.Node, err error) {
	for range 10 {
		if node, err = cluster.Join(ctx, opts); err == nil || !wait(ctx, lease/4) {
			break
		}
	}
	return node, err
}

func (c *Crew) all() []*member {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.members[:len(c.members):len(c.members)]
}

// remote reaches a member. One that was killed says cluster.ErrNotHolder.
func (c *Crew) remote(to cluster.Member) (store.RuntimeStore, error) {
	for _, m := range c.all() {
		if m.Member == to {
			return m.served, nil
		}
	}
	return nil, fmt.Errorf("%w: its member is still joining", cluster.ErrNotHolder)
}

// near returns the router of the member at a seat, or at the next seat that is taken.
// One always is.
func (c *Crew) near(seat int) store.RuntimeStore { return c.living(seat).router }

func (c *Crew) living(seat int) *member {
	for ; ; seat++ {
		if m := c.seats[seat%len(c.seats)].Load(); m != nil {
			return m
		}
	}
}

// kill ends a member as if its process had ended: it breaks the connection, and then
// nothing that the member appends or tells the others gets through. The rest is
// closed in the background: see Close.
func (c *Crew) kill(seat int) *member {
	m := c.seats[seat].Swap(nil)
	m.conn.Close()
	m.killed.Store(true)
	c.ending.Go(func() { m.left = m.node.Close() })
	return m
}

// stopLeader stops the server that leads the stream of a partition, and returns
// its name.
func (c *Crew) stopLeader(ctx context.Context, partition int) (name string, err error) {
	stream, err := c.living(0).engine.StreamName(cluster.PartitionName(clusterName, partition))
	if err != nil {
		return "", err
	}
	n, err := c.servers.WaitLeader(ctx, stream)
	if err != nil {
		return "", err
	}
	c.servers.Kill(n)
	return fmt.Sprintf("node-%d", n), nil
}

// Close ends the members, then the servers. It is an error if a member that was
// killed could still tell the others that it leaves.
func (c *Crew) Close() error {
	var nodes sync.WaitGroup
	errs := make([]error, len(c.seats))
	for seat := range c.seats {
		if m := c.seats[seat].Swap(nil); m != nil {
			nodes.Go(func() {
				errs[seat] = m.node.Close()
				m.conn.Close()
			})
		}
	}
	nodes.Wait()
	c.ending.Wait()
	for _, m := range c.all() {
		if m.killed.Load() && m.left == nil {
			errs = append(errs, fmt.Errorf("member %s was killed, and still left in good order", m.Member))
		}
	}
	if c.servers != nil {
		c.servers.Stop()
	}
	if c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}
