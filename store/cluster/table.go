package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// A table is where calls go. It is never changed; the node's owner puts a new one
// in its place.
type table struct {
	members   []Member
	slots     []slot
	until     time.Time // when the lease ends; the zero time if there is none that could
	directory error     // of its last call, nil if that went well
	closed    bool
}

// A slot is a partition in a table.
type slot struct {
	state   State
	owner   Member          // who has claimed it; the zero Member if nobody has
	loop    *loopstore.Loop // of one that is open here
	changed <-chan struct{} // of one that is opening here: closed when it is not any more
	err     error           // of one that is waiting here
}

// lapsed reports whether this member may have been taken for dead, so that what
// it has claimed may be another's by now.
func (t *table) lapsed() bool { return !t.until.IsZero() && !time.Now().Before(t.until) }

// refuses returns why no call is taken at all, if so.
func (t *table) refuses(ctx context.Context) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if t.closed {
		return store.ErrClosed
	}
	return nil
}

// notOwner is the error of a call for a partition that is not served here.
func (t *table) notOwner(partition int) *NotOwnerError {
	s := t.slots[partition]
	e := &NotOwnerError{Partition: partition, Err: s.err}
	if s.state == Elsewhere {
		e.Owner = s.owner
	}
	return e
}

// A State says how a partition stands, as one member sees it.
type State int

// The states of a partition.
const (
	Unclaimed State = iota // nobody has it
	Elsewhere              // another member has claimed it
	Opening                // this member is opening it, or about to
	Open                   // this member serves it
	Closing                // this member is giving it up
	Waiting                // this member could not open it, or lost it, and will try again
)

// String returns the name in lower case.
func (s State) String() string {
	if s < Unclaimed || s > Waiting {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return [...]string{"unclaimed", "elsewhere", "opening", "open", "closing", "waiting"}[s]
}

// A Status is how a cluster stands, as one member sees it.
type Status struct {
	Self       Member
	Members    []Member          // who are in the directory, in the order of their coming
	Partitions []PartitionStatus // all of them, in their order
	Lapsed     bool              // Self has been silent for a lease, and serves nothing
	Directory  error             // what the last call of the directory has failed with
}

// A PartitionStatus is that of one partition.
type PartitionStatus struct {
	State State
	Owner Member // the zero Member if nobody has claimed it
	Err   error  // why it is waiting
}

// Status returns how the cluster stood when this member last heard of it. It
// never waits.
func (n *Node) Status() Status {
	t := n.table.Load()
	s := Status{
		Self: n.opts.Self, Members: append([]Member(nil), t.members...),
		Partitions: make([]PartitionStatus, len(t.slots)), Lapsed: t.lapsed(), Directory: t.directory,
	}
	for p, slot := range t.slots {
		s.Partitions[p] = PartitionStatus{slot.state, slot.owner, slot.err}
	}
	return s
}
