package jetstream_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

func TestEngineKeepsThePromisesOfAJournal(t *testing.T) {
	conn := elsewhere(t)
	_, err := conn.Request("$JS.API.INFO", nil, jetstreamTimeout)
	require.NoError(t, err)
	journaltest.Run(t, journaltest.Factory{
		Open: func(t testing.TB) journal.Engine { return newEngine(t, conn, jetstream.Options{}) },
	})
}
