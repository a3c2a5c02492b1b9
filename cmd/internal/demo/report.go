package demo

import (
	"encoding/json"
	"io"
	"runtime"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/ops"
)

// A Report is what a demo did and found. Its JSON is that of "loopstore demo --json",
// which "loopstore demo -h" describes.
type Report struct {
	Runtimes      int            `json:"runtimes"`
	Callers       int            `json:"callers"`        // goroutines that called the store
	GOMAXPROCS    int            `json:"gomaxprocs"`     // how many of them could run at once
	Elapsed       time.Duration  `json:"elapsed_ns"`     // of the workload, without the checks
	Interrupted   bool           `json:"interrupted"`    // by Ctrl-C or SIGTERM
	Turns         int64          `json:"turns"`          // of all runtimes together
	SnapshotBytes int64          `json:"snapshot_bytes"` // of all boundary commits together
	HeapBytes     uint64         `json:"heap_bytes"`     // live after the workload: the store, and the accounts to check it
	Operations    []operationRow `json:"operations"`     // those that the workload called
	Journal       *journalReport `json:"journal,omitempty"`
	Cluster       Act            `json:"cluster,omitempty"`
	Verified      []check        `json:"verified"`
	CheckElapsed  time.Duration  `json:"check_elapsed_ns"`
	// NotCanonical names the files whose digests package session computed itself:
	// they are not the SHA-256 of the text as it is spelled.
	NotCanonical []string `json:"not_canonical"`
	Errors       []string `json:"errors"`   // of calls, or that nothing was done
	Failures     []string `json:"failures"` // of checks, the first ten
	OK           bool     `json:"ok"`       // there are neither errors nor failures
}

func newReport(w *workload, c *checker, elapsed time.Duration) *Report {
	r := &Report{
		Runtimes: len(w.agents), Callers: len(w.callers), GOMAXPROCS: runtime.GOMAXPROCS(0), Elapsed: elapsed,
		Turns: w.tally.turns.Load(), SnapshotBytes: w.tally.snapshotBytes.Load(),
		Operations: operationRows(w.latencies(), elapsed), Verified: c.checks,
		NotCanonical: []string{}, Errors: []string{}, Failures: append([]string{}, c.failures...),
		OK: !c.failed(),
	}
	for _, d := range w.documents {
		if !d.canonical {
			r.NotCanonical = append(r.NotCanonical, d.name)
		}
	}
	switch len(r.NotCanonical) {
	case 0:
	case len(w.documents):
		r.Verified[digests].means = digestsFromSession
	default:
		r.Verified[digests].means = digestsFromBoth
	}
	return r
}

// fail adds an error. nil is none.
func (r *Report) fail(err error) {
	if err != nil {
		r.Errors, r.OK = append(r.Errors, term.Printable(err.Error())), false
	}
}

// An operationRow is what the callers measured of one operation.
type operationRow struct {
	Operation string        `json:"operation"`
	Count     uint64        `json:"count"`
	PerSecond int64         `json:"per_second"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	Max       time.Duration `json:"max_ns"`
}

func operationRows(latencies *[ops.NumKinds]histogram, elapsed time.Duration) []operationRow {
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

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
