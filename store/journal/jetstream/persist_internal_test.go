package jetstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// When the servers fall silent, the error still says what they said before.
func TestWhatServersSaidIsInTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{conn: new(nats.Conn), options: Options{Timeout: time.Second, Patience: 10 * time.Second}}
		reason := errors.New("no quorum")
		asked := 0
		_, err := persist(t.Context(), e, func(ctx context.Context) (int, error) {
			if asked++; asked <= 2 {
				return 0, reason
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})
		require.ErrorIs(t, err, reason)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Greater(t, asked, 3)
	})
}
