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

// An about is the one record of the partition about: what the cluster's data says
// of itself.
type about struct {
	Version    int    `json:"version"`
	Cluster    string `json:"cluster"` // empty in what earlier versions wrote
	Partitions int    `json:"partitions"`
}

const (
	aboutKey     = "cluster"
	aboutVersion = 1
)

// agree writes down the number of partitions, or finds the same number. Members
// that do so at the same time fence each other, so each tries again, for a lease.
func agree(ctx context.Context, opts *Options) error {
	began := time.Now()
	for {
		err := agreeOnce(ctx, opts)
		contended := errors.Is(err, journal.ErrInUse) || errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrAmbiguous)
		if !contended || time.Since(began) >= opts.Lease {
			return err
		}
		select {
		case <-time.After(jitter(opts.Lease / 64)):
		case <-ctx.Done():
			return errors.Join(ended(ctx), err)
		}
	}
}

func agreeOnce(ctx context.Context, opts *Options) (err error) {
	var found about
	j, err := opts.Engine.Open(ctx, opts.Cluster+"/about", func(c journal.Change) error { return found.read(c) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(context.WithoutCancel(ctx))) }()
	switch {
	case found.Partitions == 0:
		return writeAbout(ctx, j, opts)
	case found.Cluster != "" && found.Cluster != opts.Cluster:
		return &OptionError{"Cluster", fmt.Sprintf("what the engine keeps under %q is of the cluster %q", opts.Cluster, found.Cluster)}
	case found.Partitions == opts.Partitions:
		return nil
	}
	return &CountError{Cluster: opts.Cluster, Recorded: found.Partitions, Asked: opts.Partitions}
}

// read takes the record.
func (a *about) read(c journal.Change) error {
	if err := json.Unmarshal(c.Value, a); string(c.Key) != aboutKey || err != nil {
		return fmt.Errorf("%w: the cluster's own record cannot be read", journal.ErrCorrupt)
	}
	if a.Version > aboutVersion {
		return fmt.Errorf("%w: the cluster's own record is of version %d", journal.ErrNewerFormat, a.Version)
	}
	if a.Version != aboutVersion || a.Partitions < 1 {
		return fmt.Errorf("%w: the cluster's own record says that there are %d partitions", journal.ErrCorrupt, a.Partitions)
	}
	return nil
}

// writeAbout writes the record. Whenever it may or may not have been stored, the
// error is journal.ErrAmbiguous.
func writeAbout(ctx context.Context, j journal.Journal, opts *Options) error {
	value, err := json.Marshal(about{aboutVersion, opts.Cluster, opts.Partitions})
	if err != nil {
		return err
	}
	batch := journal.Batch{Changes: []journal.Change{{Key: []byte(aboutKey), Value: value}}}
	rand.Read(batch.ID[:])
	_, err = j.Append(ctx, batch)
	if err == nil || errors.Is(err, journal.ErrRejected) || errors.Is(err, journal.ErrFenced) {
		return err
	}
	return fmt.Errorf("%w: %w", journal.ErrAmbiguous, err)
}

// ended returns the error of a context that has ended, with its cause if that is
// another, and nil for one that has not.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
