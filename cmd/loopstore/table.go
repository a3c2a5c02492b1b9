package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (r *report) writeTable(w io.Writer) error {
	var t strings.Builder
	fmt.Fprintf(&t, "%s, %s, GOMAXPROCS %d: %s in %s", counted(int64(r.Runtimes), "runtime"), counted(int64(r.Callers), "caller"),
		r.GOMAXPROCS, counted(r.Turns, "turn"), brief(r.Elapsed))
	if r.Interrupted {
		t.WriteString(", interrupted")
	}
	if r.Journal != nil {
		fmt.Fprintf(&t, "\n%s", r.Journal.Found)
	}
	if r.Cluster != nil {
		fmt.Fprintf(&t, "\n%s", r.Cluster)
	}
	t.WriteString("\n\n")
	r.tableOfOperations(&t)
	if r.Cluster != nil {
		r.Cluster.write(&t)
	}
	r.tableOfChecks(&t)
	verdict := "ok"
	if !r.OK {
		verdict = "FAILED"
	}
	fmt.Fprintf(&t, "\n%s\n", verdict)
	_, err := io.WriteString(w, t.String())
	return err
}

func (r *report) tableOfOperations(t *strings.Builder) {
	const row = "%-24s %12s %12s %9s %9s %9s\n"
	fmt.Fprintf(t, row, "operation", "count", "per second", "p50", "p99", "max")
	total := int64(0)
	for _, o := range r.Operations {
		fmt.Fprintf(t, row, o.Operation, grouped(int64(o.Count)), grouped(o.PerSecond), brief(o.P50), brief(o.P99), brief(o.Max))
		total += int64(o.Count)
	}
	fmt.Fprintf(t, "%-24s %12s %12s\n", "all", grouped(total), grouped(perSecond(total, r.Elapsed)))
	where := "in the store"
	if r.Cluster != nil {
		where = "in the members, their servers"
		t.WriteString("a write waits until two servers have it on their disks; max is mostly waiting for the failures below\n")
	} else if r.Journal != nil {
		fmt.Fprintf(t, "%s\na write waits for its append, which callers share: more of them, more in each, see -callers\n", r.Journal)
	} else if r.Callers > r.GOMAXPROCS {
		fmt.Fprintf(t, "%s on %s: p99 and max are mostly waiting for a CPU, see -callers 1\n",
			counted(int64(r.Callers), "caller"), counted(int64(r.GOMAXPROCS), "CPU"))
	}
	fmt.Fprintf(t, "committed: %s of snapshots, %s each on average\n", size(r.SnapshotBytes), size(r.SnapshotBytes/max(1, r.Turns)))
	fmt.Fprintf(t, "held: %s of heap for %s and %s, %s and again to check it\n", size(int64(r.HeapBytes)),
		counted(int64(r.Verified[receipts].Checked), "receipt"), counted(int64(r.Verified[inputs].Checked), "input"), where)
}

func (r *report) tableOfChecks(t *strings.Builder) {
	const row = "%-24s %12s %12s  %s\n"
	t.WriteByte('\n')
	fmt.Fprintf(t, row, "verified", "count", "failed", "in "+brief(r.CheckElapsed))
	for _, c := range r.Verified {
		fmt.Fprintf(t, row, c.Name, grouped(int64(c.Checked)), grouped(int64(c.Failed)), c.means)
	}
	for _, name := range r.NotCanonical {
		fmt.Fprintf(t, "note: %s is not canonical, see -h\n", name)
	}
	for _, text := range slices.Concat(r.Errors, r.Failures) {
		fmt.Fprintf(t, "FAILED %s\n", text)
	}
}

// perSecond returns the rate of n in that time, 0 if it was none.
func perSecond(n int64, elapsed time.Duration) int64 {
	if elapsed <= 0 {
		return 0
	}
	return int64(float64(n) / elapsed.Seconds())
}

// grouped writes n, which must not be negative, with a comma between
// thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// counted writes n of a thing, in the plural unless it is one.
func counted(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return grouped(n) + " " + thing
}

// size writes a number of bytes in MB, or in KB or bytes if it is less than
// one.
func size(n int64) string {
	switch {
	case n >= 1e6:
		return grouped(n/1e6) + " MB"
	case n >= 1e3:
		return grouped(n/1e3) + " KB"
	}
	return counted(n, "byte")
}

// brief writes d with three digits.
func brief(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
