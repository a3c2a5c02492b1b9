package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// goroutines returns the stack of every goroutine.
func goroutines() []string {
	buffer := make([]byte, 1<<16)
	n := runtime.Stack(buffer, true)
	for ; n == len(buffer); n = runtime.Stack(buffer, true) {
		buffer = make([]byte, 2*len(buffer))
	}
	return strings.Split(strings.TrimSpace(string(buffer[:n])), "\n\n")
}

// allStacks returns the stacks of all goroutines, equal ones once.
func allStacks() string { return grouped(goroutines()) }

// own matches what differs between goroutines that do the same.
var own = regexp.MustCompile(`(?m)^ ?\[?Goroutine \d+ in |^goroutine \d+(?: gp=\S+ m=\S+)? |\([^()\s]*0x[^()]*\)$| \+0x[0-9a-f]+| in goroutine \d+`)

// grouped returns a text with each different stack once, the most frequent first, and
// leaves out those that exceed some 12 KB.
func grouped(stacks []string) string {
	const room = 12 << 10
	counts := map[string]int{}
	for _, s := range stacks {
		counts[strings.TrimSpace(own.ReplaceAllString(s, ""))]++
	}
	kinds := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	var text strings.Builder
	for i, kind := range kinds {
		if text.Len()+len(kind) > room {
			fmt.Fprintf(&text, "and %d other stacks", len(kinds)-i)
			break
		}
		fmt.Fprintf(&text, "%d goroutines, %s\n\n", counts[kind], kind)
	}
	return text.String()
}
