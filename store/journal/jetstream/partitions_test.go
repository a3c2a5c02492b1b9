package jetstream_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// As many partitions as a large cluster has are opened, written and taken over, on
// one connection.
func TestManyPartitions(t *testing.T) {
	partitions := 256
	if testing.Short() {
		partitions = 16
	}
	e := newEngine(t, shared, jetstream.Options{})
	loops := make([]*loopstore.Loop, partitions)
	for round := range 2 {
		var opening errgroup.Group
		opening.SetLimit(8)
		for n := range loops {
			opening.Go(func() (err error) {
				loops[n], err = loopstore.Open(t.Context(), e, fmt.Sprint("part/", n), loopstore.Options{})
				return err
			})
		}
		require.NoError(t, opening.Wait())
		var writing errgroup.Group
		for n, l := range loops {
			writing.Go(func() error {
				for i := range 5 {
					if err := l.PersistRuntimeState(t.Context(), store.RuntimeID(fmt.Sprint(round, i)), store.RuntimeIdle); err != nil {
						return fmt.Errorf("partition %d: %w", n, err)
					}
				}
				return nil
			})
		}
		require.NoError(t, writing.Wait())
		for n, l := range loops {
			require.Equal(t, 5*(round+1), l.Stats().Held.Runtimes, "partition %d", n)
			require.NoError(t, l.Close())
		}
	}
}
