package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLivenessIsJudgedByObservation(t *testing.T) {
	start := time.Now()
	o := &observer{patience: 11 * time.Second, gap: 7 * time.Second}
	look := func(second int, beats ...uint64) []string {
		d := document{}
		for i, b := range beats {
			d.Members = append(d.Members, entry{ID: string(rune('a' + i)), Beat: b})
		}
		o.look(d, start.Add(time.Duration(second)*time.Second))
		return o.dead("a")
	}
	assert.Empty(t, look(0, 1, 9))
	assert.Empty(t, look(5, 1, 9))
	assert.Empty(t, look(10, 1, 9), "a lease is not over, and a itself is not judged")
	assert.Equal(t, []string{"b"}, look(11, 1, 9))
	assert.Empty(t, look(12, 1, 10), "it lives")
	assert.Empty(t, look(13, 1, 3), "any other beat is life")
	assert.Empty(t, look(19, 1, 3, 1), "one more")
	assert.Equal(t, []string{"b"}, look(25, 1, 3, 1), "who came later is judged later")
	assert.Empty(t, look(33, 1, 3, 1), "after a gap everybody is seen anew")
	assert.Empty(t, look(40, 1, 3, 1))
	assert.ElementsMatch(t, []string{"b", "c"}, look(44, 1, 3, 1))
	assert.Empty(t, look(45, 1), "who is gone is not dead")
}
