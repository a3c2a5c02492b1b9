package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/loopstore/loopstore/ops"
)

// A report is what the demo did and found, as -json prints it. Durations are
// in nanoseconds.
type report struct {
	Runtimes      int            `json:"runtimes"`
	Callers       int            `json:"callers"` // goroutines that called the store
	GOMAXPROCS    int            `json:"gomaxprocs"`
	Elapsed       time.Duration  `json:"elapsed_ns"` // of the workload, without the checks
	Interrupted   bool           `json:"interrupted"`
	Turns         int64          `json:"turns"`          // of all runtimes together
	SnapshotBytes int64          `json:"snapshot_bytes"` // of all boundary commits together
	Operations    []operationRow `json:"operations"`     // those that were used
	Verified      []check        `json:"verified"`
	CheckElapsed  time.Duration  `json:"check_elapsed_ns"`
	// NotCanonical names the files whose digests were recomputed by package
	// session itself, since their text is not what the digest is taken of.
	NotCanonical []string `json:"not_canonical"`
	Errors       []string `json:"errors"`   // of calls
	Failures     []string `json:"failures"` // of checks, the first ten
	OK           bool     `json:"ok"`
}

func newReport(w *workload, c *checker, documents []*document, elapsed time.Duration) *report {
	r := &report{
		Runtimes: len(w.agents), Callers: len(w.callers), GOMAXPROCS: runtime.GOMAXPROCS(0), Elapsed: elapsed,
		Turns: w.tally.turns.Load(), SnapshotBytes: w.tally.snapshotBytes.Load(),
		Operations: operationRows(w.latencies(), elapsed), Verified: c.checks,
		NotCanonical: []string{}, Errors: []string{}, Failures: append([]string{}, c.failures...),
		OK: !c.failed(),
	}
	for _, d := range documents {
		if !d.canonical {
			r.NotCanonical = append(r.NotCanonical, d.name)
		}
	}
	return r
}

// fail adds an error of a call, if it is one.
func (r *report) fail(err error) {
	if err != nil {
		r.Errors, r.OK = append(r.Errors, err.Error()), false
	}
}

// An operationRow is what callers saw of one operation.
type operationRow struct {
	Operation string        `json:"operation"`
	Count     uint64        `json:"count"`
	PerSecond int64         `json:"per_second"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	Max       time.Duration `json:"max_ns"`
}

func operationRows(latencies *[ops.Kinds]histogram, elapsed time.Duration) []operationRow {
	all := []operationRow{}
	for kind := range latencies {
		h := &latencies[kind]
		if h.count == 0 {
			continue
		}
		all = append(all, operationRow{
			Operation: ops.Kind(kind).String(),
			Count:     h.count, PerSecond: perSecond(int64(h.count), elapsed),
			P50: h.quantile(0.5), P99: h.quantile(0.99), Max: h.max,
		})
	}
	return all
}

func (r *report) exitCode() int {
	switch {
	case !r.OK:
		return exitFailed
	case r.Interrupted:
		return exitInterrupted
	}
	return exitOK
}

func (r *report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	var t strings.Builder
	fmt.Fprintf(&t, "%d runtimes, %d callers, GOMAXPROCS %d: %s turns in %s", r.Runtimes, r.Callers, r.GOMAXPROCS, grouped(r.Turns), brief(r.Elapsed))
	if r.Interrupted {
		t.WriteString(", interrupted")
	}
	t.WriteString("\n\n")
	r.tableOfOperations(&t)
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
	fmt.Fprintf(t, "snapshots: %s MB committed, %s KB each on average\n", grouped(r.SnapshotBytes/1e6), grouped(r.SnapshotBytes/max(1, r.Turns)/1e3))
}

func (r *report) tableOfChecks(t *strings.Builder) {
	const row = "%-24s %12s %12s  %s\n"
	t.WriteByte('\n')
	fmt.Fprintf(t, row, "verified", "count", "failed", "in "+brief(r.CheckElapsed))
	for _, c := range r.Verified {
		fmt.Fprintf(t, row, c.Name, grouped(int64(c.Checked)), grouped(int64(c.Failed)), c.means)
	}
	for _, name := range r.NotCanonical {
		fmt.Fprintf(t, "note: %s is not canonical, so its digests were computed by package session\n", name)
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

// brief writes d with three digits.
func brief(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
