package lincheck_test

import (
	"context"
	"iter"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A twisting store shows its followers changes as it likes, some not at all.
type twisting struct {
	*loopstore.Loop
	twist func(*state.Change) (shown bool)
}

func (s twisting) Changes(ctx context.Context, after state.ChangeCursor) iter.Seq2[state.Change, error] {
	return func(yield func(state.Change, error) bool) {
		for change, err := range s.Loop.Changes(ctx, after) {
			if (err != nil || s.twist(&change)) && !yield(change, err) {
				return
			}
		}
	}
}

func refuteFeed(t *testing.T, twist func(*state.Change) bool) string {
	return refuteClaims(t, alone, func(o loopstore.Options) store.RuntimeStore { return twisting{loopstore.New(o), twist} })
}

func TestLastChangeThatIsMissedIsCaught(t *testing.T) {
	said := refuteFeed(t, func(c *state.Change) bool { return c.What == state.RuntimeDeleted || c.Version%10 > 0 })
	assert.Regexp(t, `and misses the last change of runtime-\d, version \d*0:`, said)
}

func TestDeletionThatIsMissedIsCaught(t *testing.T) {
	said := refuteFeed(t, func(c *state.Change) bool { return c.What != state.RuntimeDeleted })
	assert.Regexp(t, `and misses that runtime-\d is deleted`, said)
}

func TestWhatChangedThatIsNotSaidIsCaught(t *testing.T) {
	said := refuteFeed(t, func(c *state.Change) bool {
		c.What &^= state.SessionChanged
		return c.What != 0
	})
	assert.Regexp(t, `has changed, and not "session"`, said)
}

func TestChangeOfAnotherVersionIsCaught(t *testing.T) {
	said := refuteFeed(t, func(c *state.Change) bool {
		c.Version++
		return true
	})
	assert.Contains(t, said, "comes before it is there")
}
