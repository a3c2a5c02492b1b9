package crew

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store/cluster"
)

// A Standing is which member served what at a moment.
type Standing struct {
	Moment  string         `json:"moment"`
	At      time.Duration  `json:"at_ns"` // since the workload began
	Members []MemberReport `json:"members"`
}

// A MemberReport is what a member has claimed, as another one sees it, and what it
// serves.
type MemberReport struct {
	Member  string `json:"member"`
	Address string `json:"address"`
	Claimed []int  `json:"claimed"`
	Open    []int  `json:"open"`
}

// stands returns which member serves what now. One that was killed serves nothing.
func (c *Crew) stands() (all []MemberReport) {
	claims := map[cluster.Member][]int{}
	for p, s := range c.living(0).node.Status().Partitions {
		claims[s.Holder] = append(claims[s.Holder], p)
	}
	for _, m := range c.all() {
		r := MemberReport{m.Name, m.Address, append([]int{}, claims[m.Member]...), []int{}}
		for p := range partitions {
			if _, ok := m.node.Local(p); ok && !m.killed.Load() {
				r.Open = append(r.Open, p)
			}
		}
		all = append(all, r)
	}
	return all
}

// allOpen reports whether all partitions are open where they are claimed.
func (c *Crew) allOpen() bool {
	open := 0
	for _, m := range c.stands() {
		if !slices.Equal(m.Claimed, m.Open) {
			return false
		}
		open += len(m.Open)
	}
	return open == partitions
}

// balanced reports whether, besides, every living member has a fair share.
func (c *Crew) balanced() bool {
	fair := partitions / len(c.seats)
	having := 0
	for _, m := range c.stands() {
		if len(m.Open) >= fair {
			having++
		}
	}
	return having == len(c.seats) && c.allOpen()
}

// write writes a line for each member.
func (s *Standing) write(t *strings.Builder, row string) {
	when := fmt.Sprintf("%.1fs %s", s.At.Seconds(), s.Moment)
	for _, m := range s.Members {
		fmt.Fprintf(t, row, when, m.Member, m.Address, term.Grouped(int64(len(m.Claimed))), term.Grouped(int64(len(m.Open))), listed(m.Open))
		when = ""
	}
}

// listed writes numbers with a space between them.
func listed(numbers []int) string {
	if len(numbers) == 0 {
		return "-"
	}
	return strings.Trim(fmt.Sprint(numbers), "[]")
}
