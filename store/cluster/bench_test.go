package cluster_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

// BenchmarkLoad is a load by a loop, and by a Router over it.
func BenchmarkLoad(b *testing.B) {
	c := newCrew(b, 16)
	c.join("a")
	id := c.in(3)
	router := c.members["a"].Router(nil)
	require.NoError(b, set(b.Context(), router, id)) // it is open then
	loop, ok := c.members["a"].Local(3)
	require.True(b, ok)
	for name, s := range map[string]store.RuntimeStore{"by=loop": loop, "by=router": router} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.LoadRuntimeState(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
