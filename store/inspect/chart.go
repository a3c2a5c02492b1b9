package inspect

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A measure is what a chart shows of samples.
type measure struct {
	Key, Title string
	Note       string // what it is, in a few words
	Wrong      bool   // as it is now
	text       func(value float64) string
	top        float64 // the end of the axis; 0 if that follows the values
	lines      []lineOf
}

// A lineOf is one line of a chart. Its value is NaN where there is none; before is
// the sample before, or nil if the two cannot be compared.
type lineOf struct {
	name string
	of   func(before, s *sample) float64
}

// A chart is a measure as it is drawn, in a plane that is 600 wide, one for each second
// of the window, and 100 high.
type chart struct {
	measure
	Top     string // the end of the axis
	Lines   []curve
	Columns []string
	Rows    []row
	Label   string // what a reader who cannot see it is told
}

// A curve is drawn where there are samples, and has gaps elsewhere.
type curve struct {
	Name, Now  string
	Path, Area string // in the language of SVG's paths
}

// A row is a minute of a chart in its table.
type row struct {
	From, To int // minutes ago
	Cells    []string
}

// A point is a value at a moment of the window.
type point struct {
	x, value float64
	after    bool // it goes on from the point before
}

// chartOf draws what there was in the window that ends now.
func chartOf(m measure, samples []sample, now time.Time) chart {
	c := chart{measure: m}
	top, told := m.top, make([]string, 0, len(m.lines))
	all := make([][]point, len(m.lines))
	for i, l := range m.lines {
		all[i] = pointsOf(l, samples, now)
		if m.top == 0 {
			_, high, _ := bounds(all[i])
			top = max(top, high)
		}
	}
	if m.top == 0 {
		top = roundUp(top)
	}
	c.Top = m.text(top)
	c.Rows = make([]row, int(window/time.Minute))
	for i := range c.Rows {
		c.Rows[i] = row{From: i + 1, To: i}
	}
	for i, l := range m.lines {
		points, name := all[i], l.name
		path, area := draw(points, top)
		d := curve{Name: name, Now: none, Path: path, Area: area}
		if n := len(points); n > 0 && !math.IsNaN(points[n-1].value) && points[n-1].x > (window-2*interval).Seconds() {
			d.Now = m.text(points[n-1].value)
		}
		c.Lines = append(c.Lines, d)
		c.Columns = append(c.Columns, strings.TrimSpace(name+" lowest"), strings.TrimSpace(name+" highest"))
		for r := range c.Rows {
			c.Rows[r].Cells = append(c.Rows[r].Cells, m.span(minuteOf(points, r))...)
		}
		told = append(told, strings.TrimSpace(fmt.Sprintf("%s now %s, %s", name, d.Now, m.words(points))))
	}
	c.Label = fmt.Sprintf("%s in the last ten minutes: %s.", m.Title, strings.Join(told, "; "))
	return c
}

// none stands where there is no value.
const none = "–"

func (m *measure) span(points []point) []string {
	low, high, ok := bounds(points)
	if !ok {
		return []string{none, none}
	}
	return []string{m.text(low), m.text(high)}
}

// words tell the range of values.
func (m *measure) words(points []point) string {
	low, high, ok := bounds(points)
	if !ok {
		return "no values yet"
	}
	return fmt.Sprintf("from %s to %s", m.text(low), m.text(high))
}

// pointsOf returns the values of a line. There is a gap where a sample or more is
// lacking, and where the loop is another than before.
func pointsOf(l lineOf, samples []sample, now time.Time) (points []point) {
	for i := range samples {
		s, before := &samples[i], (*sample)(nil)
		if i > 0 && s.At.Sub(samples[i-1].At) < 2*interval && s.Uptime >= samples[i-1].Uptime {
			before = &samples[i-1]
		}
		points = append(points, point{(window - now.Sub(s.At)).Seconds(), l.of(before, s), before != nil})
	}
	return points
}

// minuteOf returns the points of a minute, of which 0 is the last one.
func minuteOf(points []point, ago int) (of []point) {
	end := window.Seconds() - 60*float64(ago)
	for _, p := range points {
		if p.x <= end && p.x > end-60 {
			of = append(of, p)
		}
	}
	return of
}

func bounds(points []point) (low, high float64, ok bool) {
	for _, p := range points {
		if math.IsNaN(p.value) {
			continue
		}
		if !ok {
			low, high, ok = p.value, p.value, true
		}
		low, high = min(low, p.value), max(high, p.value)
	}
	return low, high, ok
}

// draw returns the path of a line, and that of what is below it. A point by itself is
// a path of no length, which a round cap shows as a dot.
func draw(points []point, top float64) (path, area string) {
	var all, below strings.Builder
	for i := 0; i < len(points); {
		if math.IsNaN(points[i].value) {
			i++
			continue
		}
		start := i
		for i++; i < len(points) && points[i].after && !math.IsNaN(points[i].value); i++ {
		}
		run, command := points[start:i], "M"
		var text strings.Builder
		for _, p := range run {
			text.WriteString(command + short(p.x) + " " + short(100-100*p.value/top))
			command = "L"
		}
		all.WriteString(text.String())
		if len(run) == 1 {
			all.WriteString("h0")
			continue
		}
		below.WriteString(text.String() + "V100H" + short(run[0].x) + "Z")
	}
	return all.String(), below.String()
}

// short writes a coordinate.
func short(x float64) string {
	return strconv.FormatFloat(math.Round(10*max(0, x))/10, 'f', -1, 64)
}

// roundUp returns the next number that has one digit, of 1, 2 and 5. 0 becomes 1.
func roundUp(x float64) float64 {
	if x <= 0 {
		return 1
	}
	ten := math.Pow(10, math.Floor(math.Log10(x)))
	for _, digit := range []float64{1, 2, 5} {
		if x <= digit*ten {
			return digit * ten
		}
	}
	return 10 * ten
}

// growth is by how much a count grows in a second.
func growth(of func(*sample) uint64) func(before, s *sample) float64 {
	return func(before, s *sample) float64 {
		if before == nil || of(s) < of(before) {
			return math.NaN()
		}
		return float64(of(s)-of(before)) / s.At.Sub(before.At).Seconds()
	}
}

// measured is a duration that is 0 if nothing was measured.
func measured(of func(*sample) time.Duration) func(before, s *sample) float64 {
	return func(_, s *sample) float64 {
		if of(s) == 0 {
			return math.NaN()
		}
		return float64(of(s))
	}
}

// perAppend is the mean time of the appends since the sample before.
func perAppend(before, s *sample) float64 {
	if before == nil || s.Appends+s.Rejected <= before.Appends+before.Rejected || s.Took < before.Took {
		return math.NaN()
	}
	return float64(s.Took-before.Took) / float64(s.Appends+s.Rejected-before.Appends-before.Rejected)
}

func gauge(of func(*sample) float64) func(before, s *sample) float64 {
	return func(_, s *sample) float64 { return of(s) }
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func hundredths(share float64) string { return fmt.Sprintf("%.3g %%", 100*share) }

func lasting(ns float64) string { return brief(time.Duration(ns)) }

func sized(n float64) string { return size(int64(n)) }

// counted writes a number or a rate: a small one with two digits.
func counted(n float64) string {
	if n > 0 && n < 10 && n != math.Trunc(n) {
		return strconv.FormatFloat(n, 'g', 2, 64)
	}
	return grouped(int64(math.Round(n)))
}
