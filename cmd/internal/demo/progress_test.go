package demo

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestProgressTellsWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stalled{make(chan string)}
		done := tally{events: make(chan string, 1)}
		stop := showProgress(w, &done)
		require.Equal(t, "  1.0s  0 turns, 0 operations, now 0 per second\n", <-w.lines)
		done.events <- "it rains"
		require.Equal(t, "  1.0s  it rains\n", <-w.lines)
		go stop()
		require.Empty(t, <-w.lines)
	})
}

// A stalled writer hands over what it is to write.
type stalled struct{ lines chan string }

func (w stalled) Write(p []byte) (int, error) {
	w.lines <- string(p)
	return len(p), nil
}

func TestProgressEndsBeforeTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stalled{make(chan string)}
		var done tally
		done.turns.Store(1234)
		done.operations.Store(50_000)
		stop := showProgress(w, &done)
		require.Equal(t, "  1.0s  1,234 turns, 50,000 operations, now 50,000 per second\n", <-w.lines)
		done.operations.Add(20_000)
		require.Equal(t, "  2.0s  1,234 turns, 70,000 operations, now 20,000 per second\n", <-w.lines)
		require.Equal(t, "  3.0s  1,234 turns, 70,000 operations, now 0 per second\n", <-w.lines)

		stopped := make(chan struct{})
		go func() {
			stop()
			close(stopped)
		}()
		synctest.Wait()
		select {
		case <-stopped:
			t.Fatal("stopped while it still has to write")
		default:
		}
		require.Empty(t, <-w.lines)
		<-stopped
	})
}
