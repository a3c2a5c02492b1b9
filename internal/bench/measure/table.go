package measure

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// WriteTable writes a row for each cell. A row has, for each subject, the median time, its
// ratio to the first subject's, and the allocations. The last column has the first
// subject's time in bare hand-offs, if it is less than ten of them. What was not measured
// is "-".
func (r *Report) WriteTable(w io.Writer) error {
	var t table
	t.add(r.heading()...)
	for i := 0; i < len(r.Results); {
		end := i + 1
		for end < len(r.Results) && r.Results[end].Cell == r.Results[i].Cell {
			end++
		}
		if i == 0 || workOf(r.Results[i].Cell) != workOf(r.Results[i-1].Cell) {
			t.add()
		}
		r.addCell(&t, r.Results[i:end])
		i = end
	}
	_, err := io.WriteString(w, r.Machine.String()+"\n\n"+t.String()+r.notes())
	return err
}

// String returns where and when Run measured, in one line.
func (m Machine) String() string {
	parts := []string{m.GOOS + "/" + m.GOARCH, m.Go, fmt.Sprint("GOMAXPROCS ", m.GOMAXPROCS), m.Began.Format("2006-01-02 15:04")}
	if m.CPU != "" {
		parts = slices.Insert(parts, 0, m.CPU)
	}
	return strings.Join(parts, ", ")
}

// heading returns the first row. A subject has a column for its time, one for the ratio
// unless it is the first subject, and one for allocations.
func (r *Report) heading() []string {
	row := []string{"time per operation"}
	for i, name := range r.Subjects {
		row = append(row, name)
		if i > 0 {
			row = append(row, "ratio")
		}
		row = append(row, "allocs")
	}
	return append(row, "in hand-offs")
}

// addCell adds the rows of a cell: one, and one more for each unit that only this cell
// has.
func (r *Report) addCell(t *table, results []Result) {
	if results[0].Subject == handOffName {
		row := make([]string, len(r.heading()))
		row[0], row[len(row)-1] = results[0].Cell, "-"
		if m, ok := results[0].Median(Time); ok {
			row[len(row)-1] = "1 = " + inTime(m)
		}
		t.add(row...)
		return
	}
	t.add(append(rowOf(results[0].Cell, results, Time), r.inHandOffs(&results[0]))...)
	for _, unit := range extraUnits(results) {
		t.add(rowOf("  "+strings.TrimSuffix(unit, "-ns/op"), results, unit)...)
	}
}

func rowOf(name string, results []Result, unit string) []string {
	row := []string{name}
	first, hasFirst := results[0].Median(unit)
	for i := range results {
		time, ratio, allocs := "-", "", ""
		m, ok := results[i].Median(unit)
		if ok {
			time = inTime(m)
		}
		if ok && hasFirst && i > 0 && first > 0 {
			ratio = digits(m/first) + "x"
		}
		if n, ok := results[i].Median(Allocs); ok && unit == Time {
			allocs = fmt.Sprintf("%.0f", n)
		}
		row = append(row, time)
		if i > 0 {
			row = append(row, ratio)
		}
		row = append(row, allocs)
	}
	return row
}

// extraUnits returns the units besides those of every cell. All of them are times.
func extraUnits(results []Result) (units []string) {
	for _, r := range results {
		for _, s := range r.Samples {
			for _, v := range s.Values {
				if !slices.Contains([]string{Time, Bytes, Allocs}, v.Unit) && !slices.Contains(units, v.Unit) {
					units = append(units, v.Unit)
				}
			}
		}
	}
	return units
}

// inHandOffs returns the time of a small operation in hand-offs of as many callers.
func (r *Report) inHandOffs(result *Result) string {
	const small = 10
	at := strings.LastIndex(result.Cell, "/callers=")
	if at < 0 {
		return ""
	}
	floor := r.Result("hand_off"+result.Cell[at:], handOffName)
	if floor == nil {
		return ""
	}
	one, ok := floor.Median(Time)
	m, measured := result.Median(Time)
	if !ok || !measured || one <= 0 || m/one >= small {
		return ""
	}
	return digits(m / one)
}

// notes says how each subject did the work that subjects do differently.
func (r *Report) notes() string {
	var order []string
	subjects := make(map[string][]string)
	for _, result := range r.Results {
		if result.How == "" {
			continue
		}
		key := workOf(result.Cell) + " " + result.How
		if subjects[key] == nil {
			order = append(order, key)
		}
		if !slices.Contains(subjects[key], result.Subject) {
			subjects[key] = append(subjects[key], result.Subject)
		}
	}
	if len(order) == 0 {
		return ""
	}
	var t strings.Builder
	t.WriteByte('\n')
	for _, key := range order {
		fmt.Fprintf(&t, "%s: %s\n", key, strings.Join(subjects[key], ", "))
	}
	return t.String()
}

// inTime formats nanoseconds with three digits and a unit.
func inTime(ns float64) string {
	for _, unit := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= 0.9995*unit.ns {
			return digits(ns/unit.ns) + " " + unit.name
		}
	}
	return digits(ns) + " ns"
}

// digits formats a number with three digits, or with two if it is below a tenth.
func digits(x float64) string {
	switch {
	case x >= 99.95:
		return fmt.Sprintf("%.0f", x)
	case x >= 9.995:
		return fmt.Sprintf("%.1f", x)
	case x >= 0.0995:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.2g", x)
}

// A table aligns its first column to the left and the others to the right.
type table struct {
	rows   [][]string
	widths []int
}

func (t *table) add(row ...string) {
	t.rows = append(t.rows, row)
	for i, text := range row {
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(text))
	}
}

func (t *table) String() string {
	var all strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		for i, text := range row {
			space := strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(text))
			switch i {
			case 0:
				line.WriteString(text + space)
			default:
				line.WriteString("  " + space + text)
			}
		}
		all.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return all.String()
}
