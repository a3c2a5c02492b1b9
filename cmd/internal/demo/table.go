package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/term"
)

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	var t strings.Builder
	fmt.Fprintf(&t, "%s, %s, GOMAXPROCS %d: %s in %s", term.Counted(int64(r.Runtimes), "runtime"), term.Counted(int64(r.Callers), "caller"),
		r.GOMAXPROCS, term.Counted(r.Turns, "turn"), term.Brief(r.Elapsed))
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
		t.WriteString(r.Cluster.Table())
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

func (r *Report) tableOfOperations(t *strings.Builder) {
	const row = "%-24s %12s %12s %9s %9s %9s\n"
	fmt.Fprintf(t, row, "operation", "count", "per second", "p50", "p99", "max")
	total := int64(0)
	for _, o := range r.Operations {
		fmt.Fprintf(t, row, o.Operation, term.Grouped(int64(o.Count)), term.Grouped(o.PerSecond), term.Brief(o.P50), term.Brief(o.P99), term.Brief(o.Max))
		total += int64(o.Count)
	}
	fmt.Fprintf(t, "%-24s %12s %12s\n", "all", term.Grouped(total), term.Grouped(perSecond(total, r.Elapsed)))
	where := "in the store"
	if r.Cluster != nil {
		where = "in the members and their servers,"
		t.WriteString("a write waits until two servers have it on their disks; max is mostly waiting out the failures below\n")
	} else if r.Journal != nil {
		fmt.Fprintf(t, "%s\na write waits for its append, which callers share: see --callers\n", r.Journal)
	} else if r.Callers > r.GOMAXPROCS {
		fmt.Fprintf(t, "%s on %s: p99 and max are mostly waiting for a CPU, see --callers 1\n",
			term.Counted(int64(r.Callers), "caller"), term.Counted(int64(r.GOMAXPROCS), "CPU"))
	}
	fmt.Fprintf(t, "committed: %s of snapshots, %s each on average\n", term.Size(r.SnapshotBytes), term.Size(r.SnapshotBytes/max(1, r.Turns)))
	fmt.Fprintf(t, "held: %s of heap for %s and %s,\n%s and once more to check it\n", term.Size(int64(r.HeapBytes)),
		term.Counted(int64(r.Verified[receipts].Checked), "receipt"), term.Counted(int64(r.Verified[inputs].Checked), "input"), where)
}

func (r *Report) tableOfChecks(t *strings.Builder) {
	const row = "%-15s %12s %9s  %s\n"
	t.WriteByte('\n')
	fmt.Fprintf(t, row, "verified", "count", "failed", "in "+term.Brief(r.CheckElapsed))
	for _, c := range r.Verified {
		fmt.Fprintf(t, row, c.Name, term.Grouped(int64(c.Checked)), term.Grouped(int64(c.Failed)), c.means)
	}
	for _, name := range r.NotCanonical {
		fmt.Fprintf(t, "note: %s is not canonical, see --help\n", name)
	}
	for _, text := range slices.Concat(r.Errors, r.Failures) {
		fmt.Fprintf(t, "FAILED %s\n", text)
	}
}

// perSecond returns the rate of n in a time, or 0 if that is 0.
func perSecond(n int64, elapsed time.Duration) int64 {
	if elapsed <= 0 {
		return 0
	}
	return int64(float64(n) / elapsed.Seconds())
}
