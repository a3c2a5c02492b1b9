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
	members   []MemberStatus
	slots     []slot
	gone      []Departure
	until     time.Time // when the lease ends; the zero time if there is no lease
	directory error     // of the last call of the directory
}

// A slot is a partition in a table.
type slot struct {
	PartitionStatus
	loop    *loopstore.Loop // only if Open
	changed <-chan struct{} // only if Opening: closed when that is over
	next    Member          // only if this member leaves: the one that will hold it, if there is one
	holder  string          // the id of Holder; empty if there is none
	last    entry           // that held it last, now or before
}

// follow takes over from how the partition stood before what goes on.
func (s *slot) follow(before slot, now time.Time) {
	s.Since, s.Before, s.Moves = before.Since, before.Before, before.Moves
	if s.State != before.State || s.holder != before.holder {
		s.Since = now
	}
	switch last := before.last; {
	case s.holder == "":
		s.last = last
	case last.ID != "" && last.ID != s.holder:
		s.Before = last.Member
		s.Moves++
	}
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
//
// The members do not talk to each other. So what is about another member is what the
// directory says, and what this one has observed since it joined.
type Status struct {
	Cluster    string
	Lease      time.Duration
	Self       Member
	Members    []MemberStatus    // of the directory, in the order in which they joined
	Gone       []Departure       // the last 16 that this member has seen go, in that order
	Partitions []PartitionStatus // all of them, in their order
	Lapsed     bool              // Self has not beaten for a lease and a third, and serves nothing
	Directory  error             // of the last call of the directory
}

// A MemberStatus is how a member of the directory stands.
type MemberStatus struct {
	Member

	// Beat is when this member first saw the other's latest beat, or began to watch
	// for one. Its own is when it began to write that. It is the zero time if there was
	// none, as with Assign.
	Beat time.Time
}

// A Departure is a member that is no longer in the directory.
type Departure struct {
	Member
	Seen       time.Time     // when this member noticed
	Partitions int           // that it had claimed by then
	Silent     time.Duration // for how long it had been watched without a beat: of one that has closed its node, a part of a lease
}

// Died reports whether the member was silent for a lease or longer, so that it was
// most likely taken for dead. Otherwise it has left, or nobody here was watching.
func (d Departure) Died(lease time.Duration) bool { return d.Silent >= lease }

// A PartitionStatus is how one partition stands.
type PartitionStatus struct {
	State  State
	Holder Member // the member that has claimed it; the zero Member if none has
	Err    error  // why it is Waiting

	Since  time.Time // when this member first saw this State with this Holder; no earlier than its Join
	Before Member    // the last other member that was seen to claim it; the zero Member if none was
	Moves  int       // how often another member than before was seen to claim it: taken over, or handed over
}

// Status returns how the cluster stood when this member last heard of it. It never
// waits.
func (n *Node) Status() Status {
	t := n.table.Load()
	s := Status{
		Cluster: n.opts.Cluster, Lease: n.opts.Lease, Self: n.opts.Self, Members: slices.Clone(t.members), Gone: slices.Clone(t.gone),
		Lapsed: t.lapsed(), Directory: t.directory,
	}
	for _, slot := range t.slots {
		s.Partitions = append(s.Partitions, slot.PartitionStatus)
	}
	return s
}
