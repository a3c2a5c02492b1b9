//go:build !race

package handoff

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/internal/model/modeltest"
)

func TestEveryRunKeepsThePromises(t *testing.T) {
	for _, p := range []Protocol{
		{Callers: 3, Calls: 2, Inbox: 1, Closers: 2},
		{Callers: 3, Calls: 2, Inbox: 2, Closers: 2},
		{Callers: 2, Calls: 2, Inbox: 2, Closers: 2, Without: Rules{PhaseFirst: true}},
		{Callers: 2, Calls: 2, Inbox: 2, Closers: 2, Without: Rules{OneStop: true}},
		{Callers: 3, Calls: 1, Retries: 1, Inbox: 2, Closers: 2},
		{Callers: 2, Calls: 2, Retries: 1, Inbox: 1, Closers: 2},
		{Callers: 1, Calls: 3, Retries: 2, Inbox: 1, Closers: 3},
	} {
		r := modeltest.Holds(t, p, Explore)
		if p.Callers == 3 {
			assert.Greater(t, r.States, 1_000_000)
		}
		if p.Inbox == 2 && p.Callers == 3 && p.Calls == 2 {
			modeltest.Documented(t, r.States, r.Visited)
		}
	}
}

func TestEveryRunOfLargerProtocolsKeepsThePromises(t *testing.T) {
	modeltest.HoldLarger(t, Explore,
		Protocol{Callers: 3, Calls: 2, Retries: 1, Inbox: 1, Closers: 2},
		Protocol{Callers: 3, Calls: 2, Retries: 1, Inbox: 2, Closers: 2},
		Protocol{Callers: 4, Calls: 1, Inbox: 3, Closers: 3},
		Protocol{Callers: 3, Calls: 3, Inbox: 1, Closers: 2},
	)
}
