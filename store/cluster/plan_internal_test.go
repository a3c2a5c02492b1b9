package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// members makes a document in which each member has so many partitions, and the
// rest is free.
func members(partitions int, has ...int) document {
	d := newDocument("c", partitions)
	p := 0
	for i, n := range has {
		d.Members = append(d.Members, entry{ID: fmt.Sprint(i)})
		for range n {
			d.Holders[p] = i
			p++
		}
	}
	return d
}

func TestShares(t *testing.T) {
	for _, c := range []struct {
		partitions int
		has, want  []int
	}{
		{8, []int{0}, []int{8}},
		{8, []int{8, 0, 0}, []int{3, 3, 2}},
		{8, []int{3, 2, 3}, []int{3, 2, 3}},
		{8, []int{2, 2, 2, 2, 0}, []int{2, 2, 2, 1, 1}},
		{8, []int{2, 2, 2, 1, 1}, []int{2, 2, 2, 1, 1}},
		{2, []int{0, 1, 0, 1}, []int{0, 1, 0, 1}},
		{256, []int{86, 85, 85}, []int{86, 85, 85}},
	} {
		d := members(c.partitions, c.has...)
		for i, want := range c.want {
			assert.Equal(t, want, d.share(fmt.Sprint(i), false), "of %v, member %d", c.has, i)
		}
	}
}

func TestOfEqualsTheOneWhoClaimsIsFirst(t *testing.T) {
	d := members(9, 3, 3)
	assert.Equal(t, 4, d.share("1", false))
	assert.Equal(t, []int{3, 4, 5, 6, 7}, turn{self: entry{ID: "1"}}.take(d).claims("1"))
}

// Whoever takes a turn, in whatever order: no claim of a living member is
// touched, and all shares are filled in the end, without any more moves.
func TestTurnsComeToRest(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		d := newDocument("c", 1+r.IntN(40))
		n := 1 + r.IntN(6)
		for range 100 * n {
			id := fmt.Sprint(r.IntN(n))
			before := d
			turn := turn{self: entry{ID: id}, giveUp: map[int]bool{}}
			if claims := d.claims(id); d.index(id) >= 0 && len(claims) > d.share(id, false) {
				turn.giveUp[claims[0]] = true
			}
			d = turn.take(d)
			for p, was := range before.Holders {
				if was != nobody && before.Members[was].ID != id {
					require.Equal(t, was, d.Holders[p], "seed %d: partition %d is another's", seed, p)
				}
			}
		}
		require.NotContains(t, d.Holders, nobody, "seed %d", seed)
		var counts []int
		for _, m := range d.Members {
			counts = append(counts, len(d.claims(m.ID)))
		}
		require.LessOrEqual(t, slices.Max(counts)-slices.Min(counts), 1, "seed %d: %v", seed, counts)
	}
}

func TestTurnsOfTheDeadAndTheLeaving(t *testing.T) {
	d := members(6, 2, 2, 2)
	d = turn{self: entry{ID: "0", Beat: 5}, dead: []string{"1"}}.take(d)
	assert.Equal(t, []string{"0", "2"}, []string{d.Members[0].ID, d.Members[1].ID})
	assert.Equal(t, []int{0, 1, 2}, d.claims("0"), "its share of what the dead had")
	assert.Equal(t, []int{4, 5}, d.claims("2"))
	assert.EqualValues(t, 5, d.Members[0].Beat)

	d = turn{self: entry{ID: "2"}, leave: true}.take(d)
	assert.Equal(t, []int{0, 0, 0, nobody, nobody, nobody}, d.Holders)
	assert.Equal(t, d, turn{self: entry{ID: "2"}, leave: true}.take(d), "it is out already")
}

func TestTurnDoesNotClaimWhatIsClosing(t *testing.T) {
	d := turn{self: entry{ID: "0"}, busy: map[int]bool{1: true}, giveUp: map[int]bool{2: true}}.take(members(4, 0))
	assert.Equal(t, []int{0, 3}, d.claims("0"))
}
