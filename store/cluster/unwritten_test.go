package cluster_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
)

// readOnly is a directory that can be read and, for a while, not written: a full disk.
type readOnly struct {
	cluster.Directory
	full atomic.Bool
}

func (d *readOnly) Write(ctx context.Context, doc []byte, revision uint64) (bool, error) {
	if d.full.Load() {
		return false, errors.New("no space left")
	}
	return d.Directory.Write(ctx, doc, revision)
}

// Nobody can write the directory for longer than a lease. Then all members continue with
// what they hold.
func TestNothingMovesWhereNobodyCanWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 12)
		d := &readOnly{Directory: c.directory.Directory}
		c.directory.Directory = d
		c.join("a", "b", "c")
		time.Sleep(10 * lease)
		before, moves := c.counts(), c.directory.moved()
		d.full.Store(true)
		time.Sleep(2 * lease)
		d.full.Store(false)
		time.Sleep(lease)
		assert.Equal(t, before, c.counts())
		assert.Equal(t, moves, c.directory.moved(), "nothing moves")
	})
}

// A slowLander's writes land although their callers have given them up.
type slowLander struct {
	cluster.Directory
	takes time.Duration
	on    atomic.Bool
}

func (d *slowLander) Write(ctx context.Context, doc []byte, revision uint64) (bool, error) {
	if !d.on.Load() {
		return d.Directory.Write(ctx, doc, revision)
	}
	type result struct {
		ok  bool
		err error
	}
	done := make(chan result, 1)
	go func() {
		time.Sleep(d.takes / 2)
		ok, err := d.Directory.Write(context.WithoutCancel(ctx), doc, revision)
		time.Sleep(d.takes / 2)
		done <- result{ok, err}
	}()
	select {
	case r := <-done:
		return r.ok, r.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// A member whose writes land, and so is alive for all others, serves what it holds.
func TestWhoseWritesLandServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 4)
		d := &slowLander{Directory: c.directory, takes: lease / 20}
		for _, name := range []string{"a", "b"} {
			c.joinWith(name, func(o *cluster.Options) { o.Directory.(*line).Directory = d })
		}
		time.Sleep(5 * lease)
		d.on.Store(true)
		require.Len(t, c.counts(), 2)
		for _, h := range c.members {
			h.line.cut()
		}
		time.Sleep(lease)
		for _, h := range c.members {
			h.line.mend()
		}
		time.Sleep(10 * lease)
		assert.Equal(t, map[string]int{"a": 2, "b": 2}, c.counts())
		d.on.Store(false)
		time.Sleep(lease)
	})
}
