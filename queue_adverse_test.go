package loopstore_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

func large(name string, bytesOf int) store.InputState {
	input := ready(name)
	input.PersistedInput = []byte(`"` + strings.Repeat("x", bytesOf) + `"`)
	return input
}

// TestClaimsOfAnotherRound has a claim wait for a round that has room for it, while somebody
// reads: it is dated when it was made.
func TestClaimsOfAnotherRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := journaltest.NewFaulty(journaltest.Limited(journaltest.NewEngine(), journal.Limits{BatchBytes: 10_000}))
		l, err := loopstore.Open(t.Context(), faulty, "p", loopstore.Options{Queue: queue})
		require.NoError(t, err)
		defer l.Close()
		claimed := make(chan store.Time, 1)
		go func() {
			c, err := l.ClaimNext(t.Context(), take)
			assert.NoError(t, err)
			claimed <- c.State.UpdatedAt
		}()
		synctest.Wait()
		time.Sleep(time.Hour)
		began := store.TimeOf(time.Now())
		release := make(chan struct{})
		faulty.Next(journaltest.Held(release))
		stored := make(chan error, 1)
		go func() { stored <- l.PersistInputState(t.Context(), "agent", large("a", 6000)) }()
		synctest.Wait()
		go func() { _, _ = l.LoadInputStates(t.Context(), "agent") }()
		synctest.Wait()
		close(release)
		require.NoError(t, <-stored)
		assert.Equal(t, began, <-claimed)
	})
}
