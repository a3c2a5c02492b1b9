//go:build unix

package service_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
)

// A gap is a time without an acknowledged write in a partition.
const leastGap = 700 * time.Millisecond

// gaps are the gaps by what had befallen the service when they began.
type gaps struct {
	mu     sync.Mutex
	fault  string // the last one
	order  []string
	times  map[string]int
	of     map[string][]time.Duration
	last   [partitions]time.Time
	begun  [partitions]string // the fault at the last acknowledged write
	errors map[string]int
}

func newGaps() *gaps {
	return &gaps{times: map[string]int{}, of: map[string][]time.Duration{}, errors: map[string]int{}}
}

// befalls begins a fault.
func (g *gaps) befalls(fault string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fault = fault; g.times[fault] == 0 {
		g.order = append(g.order, fault)
	}
	g.times[fault]++
	// A write that was acknowledged before belongs to this fault's gaps.
	for p := range g.begun {
		g.begun[p] = fault
	}
}

// served notes an acknowledged write.
func (g *gaps) served(partition int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if gap := now.Sub(g.last[partition]); !g.last[partition].IsZero() && gap > leastGap {
		fault := g.begun[partition]
		g.of[fault] = append(g.of[fault], gap)
	}
	g.last[partition], g.begun[partition] = now, g.fault
}

// refused notes a write that was not.
func (g *gaps) refused(err error) {
	kind := err.Error()
	switch {
	case errors.Is(err, store.ErrOutcomeUnknown):
		kind = "unknown"
	case errors.Is(err, cluster.ErrNotHolder):
		kind = "not the holder"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errors[kind]++
}

// table is that of docs/cluster.md.
func (g *gaps) table() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "| fault | times | gaps, of %d partitions each | median | longest |\n|---|---|---|---|---|\n", partitions)
	for _, fault := range g.order {
		all := slices.Sorted(slices.Values(g.of[fault]))
		median, longest := "–", "–"
		if len(all) > 0 {
			median, longest = seconds(all[len(all)/2]), seconds(all[len(all)-1])
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s |\n", fault, g.times[fault], len(all), median, longest)
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// refusals has a line for each kind.
func (g *gaps) refusals() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var lines []string
	for kind, n := range g.errors {
		lines = append(lines, fmt.Sprintf("%6d %s", n, kind))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
