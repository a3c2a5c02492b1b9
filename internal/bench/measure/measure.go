package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A Subject is a store to measure.
type Subject struct {
	Name string
	// Open returns an empty store. Run closes it if it is an io.Closer.
	Open func() (store.RuntimeStore, error)
	// Reader returns a function that shows a runtime of s and is cheap while the
	// runtime does not change. If Reader is nil, the runtime's state is loaded instead.
	Reader func(s store.RuntimeStore, id store.RuntimeID) func(context.Context) (*state.View, error)
}

// A Config says how to measure. The zero value is useful.
type Config struct {
	Rounds   int            // 0 means 5
	Time     time.Duration  // of the calls of one cell in one round, roughly; 0 means 100 ms
	Only     *regexp.Regexp // measures only cells whose names match; nil means all
	Progress io.Writer      // gets a line for each kind of work in each round; nil means none
}

// ErrNoCell means that Config.Only matches no cell.
var ErrNoCell = errors.New("measure: no cell has such a name")

// Run measures the subjects. Their names must differ. The report compares them to the
// first. If ctx ends or a subject fails, the report has what was measured until then, and
// the error names the cell and the subject. The report is never nil.
func Run(ctx context.Context, subjects []Subject, cfg Config) (*Report, error) {
	if cfg.Rounds <= 0 {
		cfg.Rounds = 5
	}
	if cfg.Time <= 0 {
		cfg.Time = 100 * time.Millisecond
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	for i, s := range subjects {
		if slices.ContainsFunc(subjects[:i], func(t Subject) bool { return t.Name == s.Name }) {
			return newReport(subjects), fmt.Errorf("measure: two subjects have the name %q", s.Name)
		}
	}
	r := &run{cfg: cfg, subjects: subjects, report: newReport(subjects), began: time.Now()}
	for _, phase := range phases() {
		var cells []cell
		for _, c := range phase {
			if cfg.Only == nil || cfg.Only.MatchString(c.name) {
				cells = append(cells, c)
			}
		}
		r.report.add(cells)
		r.phases = append(r.phases, cells)
	}
	if len(r.report.Results) == 0 {
		return r.report, ErrNoCell
	}
	for _, cells := range r.phases {
		if err := r.measure(ctx, cells); err != nil {
			return r.report, err
		}
	}
	return r.report, nil
}

// CellNames returns the names of all cells, in the order of a report.
func CellNames() (names []string) {
	for _, phase := range phases() {
		for _, c := range phase {
			names = append(names, c.name)
		}
	}
	return names
}

// A run is a Run under way.
type run struct {
	cfg      Config
	subjects []Subject
	phases   [][]cell
	report   *Report
	began    time.Time
}

// measure measures cells in all rounds.
func (r *run) measure(ctx context.Context, cells []cell) (err error) {
	kept := make(map[[2]string]*bench)
	defer func() {
		for key, b := range kept {
			err = errors.Join(err, failed(key[0], key[1], b.close()))
		}
	}()
	for round := range r.cfg.Rounds {
		for i, c := range cells {
			if i == 0 || cells[i-1].work() != c.work() {
				_, _ = fmt.Fprintf(r.cfg.Progress, "%5.1fs  round %d of %d: %s\n", time.Since(r.began).Seconds(), round+1, r.cfg.Rounds, c.work())
			}
			subjects := r.subjects
			if c.alone {
				subjects = []Subject{{Name: handOffName}}
			}
			for i := range subjects {
				if err := r.measureOne(ctx, c, subjects[(i+round)%len(subjects)], kept); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// measureOne measures one cell on one subject in one round.
func (r *run) measureOne(ctx context.Context, c cell, s Subject, kept map[[2]string]*bench) (err error) {
	defer func() {
		switch {
		case err != nil && ctx.Err() != nil:
			err = fmt.Errorf("measure: stopped in %s of %s: %w", c.name, s.Name, context.Cause(ctx))
		default:
			err = failed(c.name, s.Name, err)
		}
	}()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	key := [2]string{c.name, s.Name}
	b := kept[key]
	if b == nil {
		b = &bench{subject: s, callers: c.callers}
		if c.keep {
			kept[key] = b
		} else {
			defer func() { err = errors.Join(err, b.close()) }()
		}
		if err := c.setUp(ctx, b); err != nil {
			return err
		}
	}
	runtime.GC()
	sample, err := b.measure(ctx, r.cfg.Time)
	if err != nil {
		return err
	}
	r.report.record(c.name, s.Name, b.how, sample)
	return nil
}

// failed adds the cell and the subject to an error. It returns nil for nil.
func failed(cell, subject string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("measure: %s of %s: %w", cell, subject, err)
}

// A cell is one kind of work in one setting.
type cell struct {
	name    string
	callers int
	keep    bool // the bench of the first round serves in the others
	alone   bool // it has no subject
	setUp   func(ctx context.Context, b *bench) error
}

// work returns the kind of work, the first part of the name.
func (c cell) work() string { return workOf(c.name) }

func workOf(name string) string {
	work, _, _ := strings.Cut(name, "/")
	work, _, _ = strings.Cut(work, "=")
	return work
}

// phases returns all cells. All rounds of one phase come before the next phase, because
// what the growth cells keep would slow down the others.
func phases() [][]cell {
	var first []cell
	for _, cells := range [][]cell{handOffs(), operationCells(), commitCells(), turnCells(), readCells(), readerCells(), batchCells()} {
		first = append(first, cells...)
	}
	return [][]cell{first, growthCells()}
}

var callerCounts = []int{1, 8, 64}

// forCallers returns a cell for each number of callers.
func forCallers(name string, counts []int, setUp func(ctx context.Context, b *bench) error) (cells []cell) {
	for _, callers := range counts {
		cells = append(cells, cell{name: fmt.Sprintf("%s/callers=%d", name, callers), callers: callers, setUp: setUp})
	}
	return cells
}
