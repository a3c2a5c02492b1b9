//go:build unix

package service_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/loopstore/loopstore/store/cluster"
)

// leastGap is how long a partition may be without an acknowledged write before that is a
// gap.
const leastGap = 700 * time.Millisecond

// gaps are the gaps by what had befallen the service when they began.
type gaps struct {
	mu     sync.Mutex
	fault  string // the last one
	order  []string
	times  map[string]int
	of     map[string][]time.Duration
	last   [partitions]time.Time
	begun  [partitions]string // what a gap since the last write belongs to
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
	for p := range g.begun {
		if time.Since(g.last[p]) < leastGap { // else it is in a gap of the fault before
			g.begun[p] = fault
		}
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
	kind := addresses.ReplaceAllString(err.Error(), "…")
	if errors.Is(err, cluster.ErrNotHolder) {
		kind = "not the holder"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errors[kind]++
}

// addresses, names and numbers are left out of what is counted.
var addresses = regexp.MustCompile(`"[^"]*"|[0-9][0-9.:]*`)

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
