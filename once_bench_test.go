//go:build !race

package loopstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// BenchmarkListing lists a page of 100 of many runtimes: the owner's share, and the
// caller's, who sorts a list by activity.
func BenchmarkListing(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		s := new(state.State)
		for i := range n {
			s.Now = store.TimeOf(time.Unix(int64(i%1000+1), 0))
			s.PutRuntimeState(store.RuntimeID(fmt.Sprintf("agent-%06d", i)), store.RuntimeIdle)
			s.Settle()
		}
		for name, l := range map[string]state.Listing{
			"by creation":            {},
			"a prefix that few have": {Prefix: "agent-009"},
			"by activity":            {ByActivity: true},
		} {
			l.Limit = 100
			b.Run(fmt.Sprintf("%s/runtimes=%d", name, n), func(b *testing.B) {
				var owner time.Duration
				for b.Loop() {
					op := ops.ListRuntimes{Listing: l}
					began := time.Now()
					require.NoError(b, op.Apply(s))
					owner += time.Since(began)
					op.Answer()
				}
				b.ReportMetric(float64(owner.Nanoseconds())/float64(b.N), "owner-ns/op")
			})
		}
	}
}

// BenchmarkKeys stores inputs with keys, under each thing that may be asked of keys.
func BenchmarkKeys(b *testing.B) {
	for name, s := range map[string]*state.State{
		"not looked at": {},
		"unique":        {UniqueKeys: true},
		"unique and kept": {UniqueKeys: true, Retention: store.Retention{
			Inputs: store.Keep{Last: 1000}, Keys: store.Keep{Last: 100_000},
		}},
	} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				input := endedInput(i % 60_000)
				input.InputID[15] = byte(i / 60_000)
				input.IdempotencyKey = new(fmt.Sprint(i))
				_, err := ops.Run(s, ops.PersistInputState{RuntimeID: "a", State: *input})
				require.NoError(b, err)
			}
		})
	}
}
