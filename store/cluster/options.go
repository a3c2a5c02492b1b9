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

// A Member is who it is that serves partitions. Two of one name are two members:
// the one that has crashed, for example, and the one that was started in its
// place.
type Member struct {
	Name    string `json:"name"`
	Address string `json:"address"` // whatever Router's Remote makes use of
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
	// Cluster is the cluster's name, of which those of its partitions in the
	// engine are made: see [PartitionName]. It has no slash.
	Cluster string

	// Partitions is how many there are, up to [MaxPartitions]. It can never
	// change: the first Join records it in the engine, any other number is
	// refused later. Some ten for each member that there may ever be spread well.
	Partitions int

	// Self is this member, as the others see it.
	Self Member

	// Engine keeps the journals of all partitions. It should take a partition
	// over from an owner that is gone, or thought to be; where an owner must give
	// it up itself, one that hangs is waited for.
	Engine journal.Engine

	// Directory is where the members see each other. Either this is set or
	// Assign.
	Directory Directory

	// Assign says who has a partition, for ever; Join asks once for each. A
	// partition of a member with the name of Self is opened here.
	Assign func(partition int) Member

	// Lease is how long a member may be silent until others take over what it
	// has. It beats three times in that. 0 means 15 seconds, and so does a
	// negative number. It must be the same for all members. See the package's
	// documentation on how to choose it.
	Lease time.Duration

	// Opens is how many partitions are opened at a time, and how many are handed
	// over with one beat when members have joined. 0 means 8, and so does a
	// negative number.
	Opens int

	// Loop are the options of the loop of each partition, but for Journal and
	// Partition.
	Loop loopstore.Options

	// Logger is told of what comes and goes, and of what fails. It may be called
	// by several goroutines at once, and a panic of it is dropped. nil tells
	// nobody.
	Logger *slog.Logger
}

const (
	defaultLease = 15 * time.Second
	defaultOpens = 8
)

// check returns what is wrong with the options, and fills in what they leave out.
func (o *Options) check() error {
	wrong := func(option, reason string) error { return &OptionError{option, reason} }
	switch {
	case o.Cluster == "" || strings.Contains(o.Cluster, "/") || !utf8.ValidString(o.Cluster):
		return wrong("Cluster", "it must be text, without a slash")
	case o.Partitions < 1 || o.Partitions > MaxPartitions:
		return wrong("Partitions", fmt.Sprintf("%d is not from 1 to %d", o.Partitions, MaxPartitions))
	case o.Self.Name == "" || !utf8.ValidString(o.Self.Name) || !utf8.ValidString(o.Self.Address):
		return wrong("Self", "it must have a name, and both must be text")
	case o.Engine == nil:
		return wrong("Engine", "there is none")
	case (o.Directory == nil) == (o.Assign == nil):
		return wrong("Directory", "either it must be set or Assign")
	case o.Loop.Journal != nil || o.Loop.Partition != "":
		return wrong("Loop", "Journal and Partition are the cluster's to set")
	}
	if o.Lease <= 0 {
		o.Lease = defaultLease
	}
	if o.Opens <= 0 {
		o.Opens = defaultOpens
	}
	return nil
}

// beat is how long it is from one beat to the next.
func (o *Options) beat() time.Duration { return o.Lease / 3 }

// patience is how long others are silent until they are thought dead. It is more
// than a lease, so that clocks may differ in their rates by a tenth.
func (o *Options) patience() time.Duration { return o.Lease + o.Lease/10 }

// callTime is how long one call of the directory may take.
func (o *Options) callTime() time.Duration { return o.Lease / 6 }
