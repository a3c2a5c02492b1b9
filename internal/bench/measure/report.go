package measure

import (
	"bufio"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The units that every cell has, but for the reads while commits run, which have
// a time alone, and others besides.
const (
	Time   = "ns/op"
	Bytes  = "B/op"
	Allocs = "allocs/op"
)

// A Report is what a Run has measured.
type Report struct {
	Machine  Machine  `json:"machine"`
	Subjects []string `json:"subjects"`
	// Results are in the order of the cells, and for each in that of the
	// subjects. Before its first round has ended, one has no samples.
	Results []Result `json:"results"`
}

// A Machine is where a Run was, and when.
type Machine struct {
	CPU        string    `json:"cpu,omitempty"` // if it is known
	GOOS       string    `json:"goos"`
	GOARCH     string    `json:"goarch"`
	Go         string    `json:"go"`
	GOMAXPROCS int       `json:"gomaxprocs"`
	Began      time.Time `json:"began"`
}

// A Result is what was measured in one cell of one subject.
type Result struct {
	Cell    string   `json:"cell"`
	Subject string   `json:"subject"`       // "bare hand-off" in the cells of that
	How     string   `json:"how,omitempty"` // it was done, where subjects differ
	Samples []Sample `json:"samples"`       // one for each round
}

// A Sample is what was measured in one round.
type Sample struct {
	Calls  int     `json:"calls"`
	Values []Value `json:"values"`
}

// A Value is an amount of a unit.
type Value struct {
	Unit   string  `json:"unit"`
	Amount float64 `json:"amount"`
}

// Median returns the median of the rounds, and whether there is any with the
// unit.
func (r *Result) Median(unit string) (amount float64, ok bool) {
	var all []float64
	for _, s := range r.Samples {
		for _, v := range s.Values {
			if v.Unit == unit {
				all = append(all, v.Amount)
			}
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2, true
}

// Result returns what was measured in a cell of a subject, nil if it was not.
func (r *Report) Result(cell, subject string) *Result {
	for i := range r.Results {
		if found := &r.Results[i]; found.Cell == cell && found.Subject == subject {
			return found
		}
	}
	return nil
}

func newReport(subjects []Subject) *Report {
	r := &Report{Machine: thisMachine(), Results: []Result{}}
	for _, s := range subjects {
		r.Subjects = append(r.Subjects, s.Name)
	}
	return r
}

// add makes room for what is going to be measured.
func (r *Report) add(cells []cell) {
	for _, c := range cells {
		subjects := r.Subjects
		if c.alone {
			subjects = []string{handOffName}
		}
		for _, name := range subjects {
			r.Results = append(r.Results, Result{Cell: c.name, Subject: name, Samples: []Sample{}})
		}
	}
}

func (r *Report) record(cell, subject, how string, s Sample) {
	result := r.Result(cell, subject)
	result.How = how
	result.Samples = append(result.Samples, s)
}

func thisMachine() Machine {
	return Machine{
		CPU: cpuModel("/proc/cpuinfo"), GOOS: runtime.GOOS, GOARCH: runtime.GOARCH,
		Go: runtime.Version(), GOMAXPROCS: runtime.GOMAXPROCS(0), Began: time.Now(),
	}
}

// cpuModel returns what Linux tells of the processor, nothing elsewhere.
func cpuModel(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }() // it was only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
