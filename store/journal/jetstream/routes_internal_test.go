package jetstream

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// What only one of two settings shows is not called OK.
func TestRoutePingsAreJudged(t *testing.T) {
	for _, c := range []struct {
		longest time.Duration
		err     error
		status  journal.Status
		value   string
	}{
		{time.Second, nil, journal.OK, "1s"},
		{10 * time.Second, nil, journal.Unknown, "if not set, 10s"},
		{2 * time.Minute, nil, journal.Unknown, "if not set, 30s"},
		{0, errors.New("silence"), journal.Unknown, "silence"},
	} {
		f := judgePing(c.longest, c.err)
		require.Equal(t, c.status, f.Status)
		require.Equal(t, c.value, f.Value)
	}
}
