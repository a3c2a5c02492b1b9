//go:build unix

package postgres_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/store/journal/postgres"
)

// A pooler that is busy is set as it should be.
func TestAPoolerThatIsBusyIsNotRefused(t *testing.T) {
	opts := fresh()
	pool := poolAt(t, pooler(t, server(t), "transaction\nquery_wait_timeout = 1", 1)+" pool_max_conns=2")
	e := postgres.New(pool, opts)
	open(t, e, "p", contents{})
	tx, err := pool.Begin(t.Context())
	assert.NoError(t, err)
	again := func() error { _, _, err := load(t, e, "p"); return err }

	_ = again() // it may wait too long for the server
	assert.NoError(t, tx.Rollback(t.Context()))
	c1, err1 := pool.Acquire(t.Context())
	assert.NoError(t, err1)
	c2, err2 := pool.Acquire(t.Context())
	assert.NoError(t, err2)
	c2.Release()
	_, err3 := c1.Exec(t.Context(), "begin")
	assert.NoError(t, err3)
	err = again()
	assert.NotErrorIs(t, err, postgres.ErrPooler)
	_, _ = c1.Exec(t.Context(), "rollback")
	c1.Release()
	assert.NoError(t, again(), "it is in transaction mode")
}

// Several who use a schema first, with statements that have no names.
func TestManyUseASchemaFirst(t *testing.T) {
	pool := at(t, server(t).URL(), "exec")
	for n := range 20 {
		opts := fresh()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				time.Sleep(time.Duration(i*n) * 100 * time.Microsecond)
				_, _, err := load(t, postgres.New(pool, opts), fmt.Sprint("p", i))
				assert.NoError(t, err)
			})
		}
		wg.Wait()
	}
}
