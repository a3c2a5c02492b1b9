package measure

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// WriteBenchstat writes a line for each round of each cell in the format of Go
// benchmarks (golang.org/design/14313-benchmark-format). benchstat -col /subject compares
// the subjects. A space in a subject's name becomes _.
func (r *Report) WriteBenchstat(w io.Writer) error {
	var t strings.Builder
	m := r.Machine
	fmt.Fprintf(&t, "goos: %s\ngoarch: %s\ngo: %s\n", m.GOOS, m.GOARCH, m.Go)
	if m.CPU != "" {
		fmt.Fprintf(&t, "cpu: %s\n", m.CPU)
	}
	procs := ""
	if m.GOMAXPROCS != 1 { // package testing does the same
		procs = fmt.Sprintf("-%d", m.GOMAXPROCS)
	}
	for _, result := range r.Results {
		subject := strings.Join(strings.Fields(result.Subject), "_")
		for _, s := range result.Samples {
			fmt.Fprintf(&t, "BenchmarkStore/%s/subject=%s%s\t%d", result.Cell, subject, procs, s.Calls)
			for _, v := range s.Values {
				fmt.Fprintf(&t, "\t%s %s", amount(v), v.Unit)
			}
			t.WriteByte('\n')
		}
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// amount formats a value as package testing does. A time has four digits, and from 1000
// on none after the point. Memory is rounded down to whole numbers, because a part of an
// allocation belongs to another goroutine.
func amount(v Value) string {
	x := v.Amount
	switch {
	case v.Unit == Bytes || v.Unit == Allocs:
		return fmt.Sprintf("%.0f", math.Floor(x))
	case x < 9.9995:
		return fmt.Sprintf("%.4g", x)
	case x < 999.95:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}
