package cluster

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/journal"
)

// A Member serves partitions. A process that is started again under the same name
// is another member.
type Member struct {
	Name    string `json:"name"`
	Address string `json:"address"` // what a Remote needs to reach it
}

// String returns the name, with the address if there is one.
func (m Member) String() string {
	if m.Address == "" {
		return fmt.Sprintf("%q", m.Name)
	}
	return fmt.Sprintf("%q at %q", m.Name, m.Address)
}

// Options are the settings of a [Node].
type Options struct {
	// Cluster is the cluster's name. The names of its partitions in the engine
	// begin with it, see [PartitionName]. It has no slash.
	Cluster string

	// Partitions is the number of partitions, up to [MaxPartitions]. It can never
	// change: the first Join writes it down in the engine, and later ones refuse any
	// other number. About ten for each member that there may ever be spread well.
	Partitions int

	// Self is this member, as the others see it.
	Self Member

	// Engine keeps the journals of all partitions. It should fence an earlier
	// holder of a partition. With an engine that waits until the holder gives the
	// partition up, a holder that hangs is waited for.
	Engine journal.Engine

	// Directory is where the members see each other. Set either it or Assign.
	Directory Directory

	// Assign says who holds a partition, for ever. Join asks once for each. The
	// partitions of a member with the name of Self are opened here.
	Assign func(partition int) Member

	// Lease is how long the directory may be away without any cost. A member that is
	// silent for a lease and a half is taken for dead, and others take over its
	// partitions. 0 or less means 15 seconds. It must be the same for all members. The
	// package's documentation says how to choose it.
	Lease time.Duration

	// Opens is how many partitions a member opens at a time, and how many it hands
	// over at a time after another has joined. 0 or less means 8.
	Opens int

	// Loop is the options of each partition's loop.
	Loop loopstore.Options

	// Logger logs what is opened, closed, claimed and taken over, and what fails.
	// Several goroutines may call it at once. A panic of it is dropped. nil logs
	// nothing.
	Logger *slog.Logger
}

const (
	defaultLease = 15 * time.Second
	defaultOpens = 8
)

// check returns what is wrong with the options, and fills in the defaults.
func (o *Options) check() error {
	wrong := func(option, reason string) error { return &OptionError{option, reason} }
	switch {
	case o.Cluster == "" || strings.Contains(o.Cluster, "/") || !utf8.ValidString(o.Cluster):
		return wrong("Cluster", "it must be UTF-8 without a slash, and not empty")
	case o.Partitions < 1 || o.Partitions > MaxPartitions:
		return wrong("Partitions", fmt.Sprintf("%d is not from 1 to %d", o.Partitions, MaxPartitions))
	case o.Self.Name == "" || !utf8.ValidString(o.Self.Name) || !utf8.ValidString(o.Self.Address):
		return wrong("Self", "it must have a name, and name and address must be UTF-8")
	case o.Engine == nil:
		return wrong("Engine", "it is nil")
	case (o.Directory == nil) == (o.Assign == nil):
		return wrong("Directory", "set either it or Assign")
	}
	if o.Lease <= 0 {
		o.Lease = defaultLease
	}
	if o.Opens <= 0 {
		o.Opens = defaultOpens
	}
	return nil
}

// beat is the time from one beat to the next.
func (o *Options) beat() time.Duration { return o.Lease / 6 }

// term is how long a member serves after a beat. It covers the time to the next beat,
// a lease in which the directory is away, and an eighth of a lease for noticing that
// it is back and for the beats of all members then.
func (o *Options) term() time.Duration { return o.Lease + o.Lease/3 }

// patience is how long another member may be silent before it is taken for dead. It
// is an eighth more than its term, so that the rates of clocks may differ by a tenth.
func (o *Options) patience() time.Duration { return o.Lease + o.Lease/2 }

// blind is how long a member may not have read the directory and still judge others.
func (o *Options) blind() time.Duration { return 4 * o.beat() }

// callTime is how long one call of the directory may take.
func (o *Options) callTime() time.Duration { return o.Lease / 6 }

// retry is the time from a call of the directory that failed to the next one.
func (o *Options) retry() time.Duration { return o.Lease / 32 }
