package jetstream

import (
	"strings"
	"testing"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/store/journal"
)

// What a change takes is known before it is encoded.
func TestChangeSize(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 1<<21 - 1, 1 << 21} {
		for _, c := range []journal.Change{
			{Value: []byte(strings.Repeat("v", n))},
			{Key: []byte(strings.Repeat("k", n)), Value: []byte("v")},
			{Key: []byte(strings.Repeat("k", n)), Delete: true},
		} {
			assert.Equal(t, len(appendChange(nil, c)), changeSize(c), "%d bytes", n)
		}
	}
}

// What the last change of a key says is what stands, and where.
func TestStanding(t *testing.T) {
	s := &standing{}
	put := func(key, value string) journal.Change {
		return journal.Change{Key: []byte(key), Value: []byte(value)}
	}
	first := []journal.Change{put("a", "1"), put("b", "1"), deleteOf("b"), put("c", "1"), put("c", "22")}
	s.apply(1<<40, first)
	assert.EqualValues(t, changeSize(first[0])+changeSize(first[4]), s.bytes())
	assert.Equal(t, []journal.Change{first[0], first[4]}, s.in(1<<40, first))
	assert.Empty(t, s.in(1, first))
	assert.EqualValues(t, -changeSize(first[4])+1, s.growth([]journal.Change{put("a", "12"), deleteOf("c"), deleteOf("none")}))
	s.apply(1<<40+1, []journal.Change{put("a", "2"), deleteOf("c")})
	assert.Empty(t, s.in(1<<40, first))
	assert.True(t, s.holds([]byte("a"), 1<<40+1))
	assert.False(t, s.holds([]byte("c"), 1<<40+1))
}

// The servers count all replicas of an account, and the limit of a tier for each.
func TestAccountShares(t *testing.T) {
	limited := func(most int64, used uint64) js.Tier {
		return js.Tier{Store: used, Limits: js.AccountLimits{MaxStore: most}}
	}
	for name, test := range map[string]struct {
		info        js.AccountInfo
		left, total int64
	}{
		"no limit":           {js.AccountInfo{Tier: limited(-1, 600)}, endless, endless},
		"one limit":          {js.AccountInfo{Tier: limited(3000, 600)}, 790, 1000},
		"a tier":             {js.AccountInfo{Tiers: map[string]js.Tier{"R3": limited(1000, 600), "R1": limited(5, 5)}}, 790, 1000},
		"a tier, no limit":   {js.AccountInfo{Tiers: map[string]js.Tier{"R3": limited(-1, 600)}}, endless, endless},
		"no such tier":       {js.AccountInfo{Tiers: map[string]js.Tier{"R1": limited(1000, 600)}}, endless, endless},
		"more than is there": {js.AccountInfo{Tier: limited(300, 600)}, -110, 100},
	} {
		left, total := shareOf(&test.info, 3, 30)
		assert.Equal(t, test.left, left, name)
		assert.Equal(t, test.total, total, name)
	}
}
