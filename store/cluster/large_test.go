package cluster_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
)

// A member that makes the document too large is refused before it is written, and
// those that are there go on.
func TestMemberThatMakesTheDocumentTooLargeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 4)
		wide := func(o *cluster.Options) { o.Self.Address = strings.Repeat("a", 120<<10) }
		for i := range 4 {
			c.joinWith(fmt.Sprint(i), wide)
		}
		opts, _ := c.options("more")
		wide(&opts)
		_, err := cluster.Join(t.Context(), opts)
		require.ErrorIs(t, err, cluster.ErrDocument)
		require.ErrorContains(t, err, "members join up to 524288")
		assert.Len(t, c.directory.standing().Members, 4)
		time.Sleep(lease)
		assert.False(t, c.members["0"].Status().Lapsed)
		c.join("small")
	})
}
