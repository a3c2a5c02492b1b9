package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/loopstore/loopstore/store/journal"
)

// An about is what a cluster's data says of itself, in a partition of its own.
type about struct {
	Version    int `json:"version"`
	Partitions int `json:"partitions"`
}

const (
	aboutKey     = "cluster"
	aboutVersion = 1
)

// agree records how many partitions there are, or finds the same number. Members
// that do so at the same time take the partition away from each other, and so
// each tries again, for a lease.
func agree(ctx context.Context, opts *Options) error {
	began := time.Now()
	for {
		err := agreeOnce(ctx, opts)
		contended := errors.Is(err, journal.ErrInUse) || errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrAmbiguous)
		if !contended || time.Since(began) >= opts.Lease {
			return err
		}
		if ended := pause(ctx, jitter(opts.Lease/64)); ended != nil {
			return errors.Join(ended, err)
		}
	}
}

func agreeOnce(ctx context.Context, opts *Options) (err error) {
	var found about
	j, err := opts.Engine.Open(ctx, aboutName(opts.Cluster), func(c journal.Change) error { return found.read(c) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(context.WithoutCancel(ctx))) }()
	switch found.Partitions {
	case opts.Partitions:
		return nil
	case 0:
		return record(ctx, j, opts.Partitions)
	}
	return &CountError{Cluster: opts.Cluster, Recorded: found.Partitions, Asked: opts.Partitions}
}

// read takes one record of the partition.
func (a *about) read(c journal.Change) error {
	if err := json.Unmarshal(c.Value, a); string(c.Key) != aboutKey || err != nil {
		return fmt.Errorf("%w: what the cluster says of itself cannot be read", journal.ErrCorrupt)
	}
	if a.Version > aboutVersion {
		return fmt.Errorf("%w: what the cluster says of itself is of version %d", journal.ErrNewerFormat, a.Version)
	}
	if a.Version != aboutVersion || a.Partitions < 1 {
		return fmt.Errorf("%w: the cluster says that it has %d partitions", journal.ErrCorrupt, a.Partitions)
	}
	return nil
}

// record writes the number of partitions. An error that says nothing of the batch
// is journal.ErrAmbiguous.
func record(ctx context.Context, j journal.Journal, partitions int) error {
	value := fmt.Appendf(nil, `{"version":%d,"partitions":%d}`, aboutVersion, partitions)
	batch := journal.Batch{Changes: []journal.Change{{Key: []byte(aboutKey), Value: value}}}
	rand.Read(batch.ID[:])
	_, err := j.Append(ctx, batch)
	if err == nil || errors.Is(err, journal.ErrRejected) || errors.Is(err, journal.ErrFenced) {
		return err
	}
	return fmt.Errorf("%w: %w", journal.ErrAmbiguous, err)
}

// pause waits, and returns why if it did not wait long enough.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

// ended returns the error of a context that has ended, with its cause if that is
// another.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
