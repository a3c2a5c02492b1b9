package measure

import (
	"bufio"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The units of every cell, except read_while_committing, which has a time and units of its
// own.
const (
	Time   = "ns/op"
	Bytes  = "B/op"
	Allocs = "allocs/op"
)

// A Report is what [Run] measured.
type Report struct {
	Machine  Machine  `json:"machine"`
	Subjects []string `json:"subjects"`
	// Results are in the order of the cells, and for each cell in that of the subjects.
	// What was not measured has no samples.
	Results []Result `json:"results"`
}

// A Machine says where and when [Run] measured.
type Machine struct {
	CPU        string    `json:"cpu,omitempty"` // empty if unknown
	GOOS       string    `json:"goos"`
	GOARCH     string    `json:"goarch"`
	Go         string    `json:"go"`
	GOMAXPROCS int       `json:"gomaxprocs"`
	Began      time.Time `json:"began"`
}

// A Result is what was measured of one cell on one subject.
type Result struct {
	Cell    string   `json:"cell"`
	Subject string   `json:"subject"`       // "bare hand-off" in the hand_off cells
	How     string   `json:"how,omitempty"` // the work was done, where subjects differ
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

// Median returns the median of the rounds. It returns false if no round has the unit.
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

// Result returns the result of a cell on a subject, or nil if the report has none.
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

// add adds results without samples for the cells.
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

// cpuModel returns the processor's name on Linux, "" elsewhere.
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
