package cluster

import (
	"errors"
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// The errors of this package, besides those of package store. After any of them
// nothing was applied.
var (
	// ErrNotHolder means that this member does not serve the call's partition now.
	// The error is a *NotHolderError.
	ErrNotHolder = errors.New("cluster: partition is not served here")

	// ErrSpansPartitions means that the runtimes of a batch, or the two of a fork, are
	// in several partitions. The error is a *SpanError.
	ErrSpansPartitions = errors.New("cluster: call spans partitions")

	// ErrPartitionCount means that the cluster was made with another number of
	// partitions. The error is a *CountError.
	ErrPartitionCount = errors.New("cluster: number of partitions differs")

	// ErrDocument means that what the directory holds is not a document of this
	// cluster, or was written by a newer version, or would be too large with one more
	// member. It is left as it is. The error is a *DocumentError.
	ErrDocument = errors.New("cluster: directory's document refused")

	// ErrOptions means that Join cannot work with its options. The error is an
	// *OptionError.
	ErrOptions = errors.New("cluster: invalid option")
)

// A NotHolderError says where to make a call instead. The call may also be made
// again here, some time later.
type NotHolderError struct {
	Partition int
	Holder    Member // the member that has claimed it, or will when this one has left; the zero Member if none is known
	Err       error  // why it is not served here although this member has claimed it, if that is known
}

func (e *NotHolderError) Error() string {
	text := fmt.Sprintf("%v: partition %d, ", ErrNotHolder, e.Partition)
	if e.Holder == (Member{}) {
		text += "nobody is known to serve it"
	} else {
		text += fmt.Sprintf("%v holds it or is about to", e.Holder)
	}
	if e.Err != nil {
		text += fmt.Sprintf(": %v", e.Err)
	}
	return text
}

// Is reports whether target is ErrNotHolder.
func (e *NotHolderError) Is(target error) bool { return target == ErrNotHolder }

// Unwrap returns Err, which may be nil.
func (e *NotHolderError) Unwrap() error { return e.Err }

// A SpanError names two runtimes of a call that are in different partitions.
type SpanError struct {
	RuntimeIDs [2]store.RuntimeID
	Partitions [2]int // of each
}

func (e *SpanError) Error() string {
	return fmt.Sprintf("%v: a runtime is in partition %d, another in %d", ErrSpansPartitions, e.Partitions[0], e.Partitions[1])
}

// Is reports whether target is ErrSpansPartitions.
func (e *SpanError) Is(target error) bool { return target == ErrSpansPartitions }

// A CountError has the number of partitions that the engine has recorded, and the
// one that Options ask for.
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
	Version int // of the document, if it is newer than what is known here; else 0
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
