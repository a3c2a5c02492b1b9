package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/cluster/clustertest"
	"github.com/loopstore/loopstore/store/journal/postgres"
)

// A directory keeps the promises of one, to members with pools of their own.
func TestDirectoryKeepsThePromisesOfOne(t *testing.T) {
	clustertest.Run(t, clustertest.Factory{
		Open: func(t testing.TB) func(name string) (cluster.Directory, error) {
			pool, other, opts := poolOf(t), poolAt(t, server(t).URL()), fresh()
			_, _, err := postgres.NewDirectory(pool, opts, "first").Read(t.Context()) // makes the tables
			require.NoError(t, err)
			return func(name string) (cluster.Directory, error) {
				pool, other = other, pool
				return postgres.NewDirectory(pool, opts, name), nil
			}
		},
	})
}
