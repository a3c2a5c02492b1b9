package cluster

import (
	"errors"
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// What calls here fail with, besides the errors of package store. After any of
// them nothing was applied.
var (
	// ErrNotOwner means that the call is for a partition which this member does
	// not serve now. The error is a *NotOwnerError.
	ErrNotOwner = errors.New("cluster: partition is not served here")

	// ErrSpansPartitions means that a batch is on runtimes of several partitions.
	// The error is a *SpanError.
	ErrSpansPartitions = errors.New("cluster: batch spans partitions")

	// ErrPartitionCount means that the cluster was made with another number of
	// partitions. The error is a *CountError.
	ErrPartitionCount = errors.New("cluster: number of partitions differs")

	// ErrDocument means that the directory holds what is no document of this
	// cluster, or one that a newer version has written. It is left as it is. The
	// error is a *DocumentError.
	ErrDocument = errors.New("cluster: directory's document refused")

	// ErrOptions means that Join was given what it cannot work with. The error
	// is an *OptionError.
	ErrOptions = errors.New("cluster: invalid option")
)

// A NotOwnerError says where a call may be made instead. It may be made again,
// here too, some time later.
type NotOwnerError struct {
	Partition int
	Owner     Member // who is known to have claimed it; the zero Member if nobody is, or only this one
	Err       error  // why it is not open here although this member has claimed it, if there is a reason; often nil
}

func (e *NotOwnerError) Error() string {
	text := fmt.Sprintf("%v: partition %d, ", ErrNotOwner, e.Partition)
	if e.Owner == (Member{}) {
		text += "nobody is known to serve it"
	} else {
		text += fmt.Sprintf("%v has claimed it", e.Owner)
	}
	if e.Err != nil {
		text += fmt.Sprintf(": %v", e.Err)
	}
	return text
}

// Is reports whether target is ErrNotOwner.
func (e *NotOwnerError) Is(target error) bool { return target == ErrNotOwner }

// Unwrap returns why the partition is not open here, which may be nil.
func (e *NotOwnerError) Unwrap() error { return e.Err }

// A SpanError names two runtimes of a batch that are in different partitions.
type SpanError struct {
	RuntimeIDs [2]store.RuntimeID
	Partitions [2]int // of each
}

func (e *SpanError) Error() string {
	return fmt.Sprintf("%v: a runtime is in partition %d, another in %d", ErrSpansPartitions, e.Partitions[0], e.Partitions[1])
}

// Is reports whether target is ErrSpansPartitions.
func (e *SpanError) Is(target error) bool { return target == ErrSpansPartitions }

// A CountError names both numbers of partitions.
type CountError struct {
	Cluster         string
	Recorded, Asked int
}

func (e *CountError) Error() string {
	return fmt.Sprintf("%v: cluster %q has %d, and Options say %d", ErrPartitionCount, e.Cluster, e.Recorded, e.Asked)
}

// Is reports whether target is ErrPartitionCount.
func (e *CountError) Is(target error) bool { return target == ErrPartitionCount }

// A DocumentError says why a directory's document is refused.
type DocumentError struct {
	Version int // that it says it is, if it is newer than what is known here; else 0
	Reason  string
}

func (e *DocumentError) Error() string { return fmt.Sprintf("%v: %s", ErrDocument, e.Reason) }

// Is reports whether target is ErrDocument.
func (e *DocumentError) Is(target error) bool { return target == ErrDocument }

// An OptionError says which of Options is wrong.
type OptionError struct{ Option, Reason string }

func (e *OptionError) Error() string {
	return fmt.Sprintf("%v: %s: %s", ErrOptions, e.Option, e.Reason)
}

// Is reports whether target is ErrOptions.
func (e *OptionError) Is(target error) bool { return target == ErrOptions }
