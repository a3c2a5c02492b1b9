package reader

import (
	"strings"
	"testing"
	"time"
)

func TestX(t *testing.T) {
	for _, p := range []Protocol{
		{Writes: 1, Readers: 1, Reads: 2},
		{Writes: 2, Readers: 1, Reads: 2},
		{Writes: 2, Readers: 2, Reads: 1},
		{Writes: 2, Readers: 2, Reads: 2},
		{Writes: 2, Watchers: 1},
		{Writes: 3, Watchers: 1},
		{Writes: 2, Watchers: 2},
		{Writes: 2, Readers: 1, Reads: 2, Watchers: 1},
		{Writes: 2, Readers: 1, Reads: 2, Watchers: 1, Shared: true},
		{Writes: 2, Readers: 1, Reads: 2, Group: 1},
		{Writes: 2, Readers: 1, Reads: 2, Group: 2},
		{Writes: 3, Readers: 2, Reads: 2},
	} {
		b := time.Now()
		r := Explore(p, 3000000)
		t.Logf("%v: %d states %d visited %d steps %v %s\n%s", p, r.States, r.Visited, r.Steps, time.Since(b), r.Violation, strings.Join(r.Trace, "\n"))
	}
}
