package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store/journal"
)

// A diagnosis is what was found, as --json prints it.
type diagnosis struct {
	Findings []findingReport `json:"findings"`
	Unknown  int             `json:"unknown"` // findings of that status
	Risk     int             `json:"risk"`
	Broken   int             `json:"broken"`
	OK       bool            `json:"ok"` // all was looked at, and is as it should be
}

type findingReport struct {
	Status  string `json:"status"`
	Setting string `json:"setting"`
	Value   string `json:"value"`
	Advice  string `json:"advice"`
}

func newDiagnosis(findings []journal.Finding) *diagnosis {
	d := &diagnosis{Findings: []findingReport{}}
	counts := map[journal.Status]int{}
	for _, f := range findings {
		counts[f.Status]++
		d.Findings = append(d.Findings, findingReport{f.Status.String(), f.Setting, f.Value, f.Advice})
	}
	d.Unknown, d.Risk, d.Broken = counts[journal.Unknown], counts[journal.Risk], counts[journal.Broken]
	d.OK = d.Unknown+d.Risk+d.Broken == 0
	return d
}

// failed reports whether something is at risk or broken.
func (d *diagnosis) failed() bool { return d.Risk+d.Broken > 0 }

func (d *diagnosis) write(w io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(d)
	}
	_, err := io.WriteString(w, d.table())
	return err
}

// table has a line for each finding. The advice stands below a finding that is not
// OK.
func (d *diagnosis) table() string {
	var t strings.Builder
	const row = "%-8s %-*s  %s\n"
	width := len("setting")
	for _, f := range d.Findings {
		width = max(width, len(term.Printable(f.Setting)))
	}
	fmt.Fprintf(&t, row, "status", width, "setting", "value")
	for _, f := range d.Findings {
		value := term.Printable(f.Value)
		if value == "" {
			value = "-"
		}
		fmt.Fprintf(&t, row, f.Status, width, term.Printable(f.Setting), value)
		if f.Status != journal.OK.String() {
			fmt.Fprintf(&t, "%8s %s\n", "", term.Printable(f.Advice))
		}
	}
	fmt.Fprintf(&t, "\n%s\n", d.verdict())
	return t.String()
}

func (d *diagnosis) verdict() string {
	unknown := fmt.Sprintf("%s UNKNOWN: it could not be checked", term.Grouped(int64(d.Unknown)))
	switch {
	case d.OK:
		return "ok"
	case !d.failed():
		return "nothing wrong was found, and " + unknown
	case d.Unknown == 0:
		return fmt.Sprintf("FAILED: %d at RISK, %d BROKEN", d.Risk, d.Broken)
	}
	return fmt.Sprintf("FAILED: %d at RISK, %d BROKEN, and %s", d.Risk, d.Broken, unknown)
}
