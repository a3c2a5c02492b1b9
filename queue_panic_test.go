package loopstore

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/state"
)

// A panic of the owner leaves no claim that waits without an answer.
func TestFailsClosedWhileClaimsWait(t *testing.T) {
	opts := Options{Queue: state.Queue{Ready: []store.InputLifecycleState{store.InputQueued}, Busy: []store.InputLifecycleState{store.InputStaged}}}
	for _, journaled := range []bool{false, true} {
		t.Run(fmt.Sprint("journal ", journaled), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := New(opts)
				if journaled {
					require.NoError(t, l.Close())
					l = openLoop(t, journaltest.NewEngine(), opts)
				}
				errs := make(chan error, 10)
				for range cap(errs) {
					go func() {
						_, err := l.ClaimNext(t.Context(), store.Claim{To: store.InputStaged})
						errs <- err
					}()
				}
				synctest.Wait()
				var failure *store.PanicError
				require.ErrorAs(t, <-load(t.Context(), l, "a", func() { panic("load") }), &failure)
				require.ErrorAs(t, l.Close(), &failure)
				for range cap(errs) {
					require.ErrorIs(t, <-errs, store.ErrFailed)
				}
			})
		})
	}
}
