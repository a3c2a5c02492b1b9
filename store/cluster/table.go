package cluster

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/loopstore/loopstore"
)

// A table says where calls go. It never changes: the controller puts a new one in
// its place.
type table struct {
	members   []Member
	slots     []slot
	until     time.Time // when the lease ends; the zero time if there is no lease
	directory error     // of the last call of the directory
}

// A slot is a partition in a table.
type slot struct {
	PartitionStatus
	loop    *loopstore.Loop // only if Open
	changed <-chan struct{} // only if Opening: closed when that is over
	next    Member          // only if this member leaves: the one that will hold it, if there is one
}

// lapsed reports whether the lease is over: this member may have been taken for
// dead, and its claims may be another's by now.
func (t *table) lapsed() bool { return !t.until.IsZero() && !time.Now().Before(t.until) }

// notHolder is the error of a call for a partition that is not served here.
func (t *table) notHolder(partition int) *NotHolderError {
	s := t.slots[partition]
	e := &NotHolderError{Partition: partition, Holder: s.next, Err: s.Err}
	switch {
	case s.State == Elsewhere:
		e.Holder = s.Holder
	case e.Err != nil || s.State == Unclaimed:
	case t.lapsed() && t.directory != nil: // as text: a deadline of the directory's is none of the caller's
		e.Err = fmt.Errorf("this member has not reached the directory for too long: %v", t.directory)
	case t.lapsed():
		e.Err = errors.New("this member has not reached the directory for too long")
	case s.State == Opening:
		e.Err = errors.New("this member is still opening it")
	}
	return e
}

// A State is where a partition stands, as one member sees it.
type State int

// The states of a partition.
const (
	Unclaimed State = iota // no member has claimed it
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

// A Status is how a cluster stands, as one member sees it. It is the caller's.
type Status struct {
	Self       Member
	Members    []Member          // of the directory, in the order in which they joined
	Partitions []PartitionStatus // all of them, in their order
	Lapsed     bool              // Self has not beaten for a lease and a third, and serves nothing
	Directory  error             // of the last call of the directory
}

// A PartitionStatus is how one partition stands.
type PartitionStatus struct {
	State  State
	Holder Member // the member that has claimed it; the zero Member if none has
	Err    error  // why it is Waiting
}

// Status returns how the cluster stood when this member last heard of it. It never
// waits.
func (n *Node) Status() Status {
	t := n.table.Load()
	s := Status{Self: n.opts.Self, Members: slices.Clone(t.members), Lapsed: t.lapsed(), Directory: t.directory}
	for _, slot := range t.slots {
		s.Partitions = append(s.Partitions, slot.PartitionStatus)
	}
	return s
}
