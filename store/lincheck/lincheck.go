package lincheck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/loopstore/loopstore/store"
)

// A Config says how much [Check] does. The zero value is useful.
type Config struct {
	Histories  int    // how many, each on a store of its own; 0 means 20
	Operations int    // in each history, without the audit at its end; 0 means 2,000
	Runtimes   int    // 0 means 4
	Callers    int    // at a time; 0 means 6. With many more the check takes long
	Seed       uint64 // of the programs; how they interleave is not repeatable
	Dir        string // where a refuted history is shown; empty means that of temporary files
}

func (c Config) withDefaults() Config {
	c.Histories = cmp.Or(c.Histories, 20)
	c.Operations = cmp.Or(c.Operations, 2000)
	c.Runtimes = cmp.Or(c.Runtimes, 4)
	c.Callers = cmp.Or(c.Callers, 6)
	c.Dir = cmp.Or(c.Dir, os.TempDir())
	return c
}

// Stats say what [Check] saw.
type Stats struct {
	Histories         int
	Operations        int // calls, without the audits'
	Audited           int // loads of the audits
	Cancelled         int // calls that returned their context's error
	CancelledUnderWay int // those of them that had begun with a living context
	Overlapping       int // calls that began while another one was under way on the same runtime
	Refused           int // calls with flaws, or of exhausted runs
}

func (s *Stats) add(t Stats) {
	s.Histories += t.Histories
	s.Operations += t.Operations
	s.Audited += t.Audited
	s.Cancelled += t.Cancelled
	s.CancelledUnderWay += t.CancelledUnderWay
	s.Overlapping += t.Overlapping
	s.Refused += t.Refused
}

// String says it in a line.
func (s Stats) String() string {
	return fmt.Sprintf("%d histories, %d operations and %d loads after them: %d overlapping another, %d cancelled (%d under way), %d refused",
		s.Histories, s.Operations, s.Audited, s.Overlapping, s.Cancelled, s.CancelledUnderWay, s.Refused)
}

// A TB is what [Check] needs of a test: a *testing.T is one.
type TB interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Check records histories, each on a store that open returns, and fails the
// test at the first that is not linearizable. A store that is an [io.Closer] is
// closed after its history.
func Check(t TB, open func() store.RuntimeStore, cfg Config) Stats {
	t.Helper()
	cfg = cfg.withDefaults()
	var total Stats
	for n := range cfg.Histories {
		h, err := recordOn(t.Context(), open(), cfg, n)
		if err == nil {
			total.add(h.stats)
			err = h.check(cfg.Dir)
		}
		if err != nil {
			t.Errorf("history %d of seed %d: %v", n, cfg.Seed, err)
			break
		}
	}
	t.Logf("%v", total)
	return total
}

func recordOn(ctx context.Context, s store.RuntimeStore, cfg Config, n int) (*history, error) {
	h, err := record(ctx, s, cfg, n)
	if c, ok := s.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return h, err
}

// patience is how long the check of one history may take, which is a few
// milliseconds, unless very many calls were under way at one time.
const patience = 2 * time.Minute

// check looks for an order of the history. The error shows the first runtime
// that has none.
func (h *history) check(dir string) error {
	switch porcupine.CheckOperationsTimeout(model, h.operations, patience) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("not decided after %v", patience)
	}
	for _, part := range byRuntime(h.operations) {
		result, info := porcupine.CheckOperationsVerbose(model, part, patience)
		if result != porcupine.Ok {
			return refuted(part, info, dir)
		}
	}
	return errors.New("not linearizable, but each runtime is")
}

// refuted describes a history of one runtime that has no order.
func refuted(part []porcupine.Operation, info porcupine.LinearizationInfo, dir string) error {
	longest, stuck := progress(part, info)
	page, err := show(info, dir)
	if err != nil {
		page = "nowhere: " + err.Error()
	}
	return fmt.Errorf("not linearizable: %d of %d calls on %s find an order; the first that does not fit is\n\t%s\n\t(caller %d, from %d to %d)\nThe history is shown in %s",
		longest, len(part), part[0].Input.(*call).runtime,
		model.DescribeOperation(stuck.Input, stuck.Output), stuck.ClientId, stuck.Call, stuck.Return, page)
}

// progress returns how far the longest order got, and the call outside it that
// returned first.
func progress(part []porcupine.Operation, info porcupine.LinearizationInfo) (int, porcupine.Operation) {
	var longest []porcupine.Operation
	for _, orders := range info.PartialLinearizationsOperations() {
		for _, order := range orders {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	placed := make(map[int64]bool, len(longest))
	for _, o := range longest {
		placed[o.Call] = true
	}
	var stuck porcupine.Operation
	for _, o := range part {
		if !placed[o.Call] && (stuck.Input == nil || o.Return < stuck.Return) {
			stuck = o
		}
	}
	return len(longest), stuck
}

// show writes porcupine's page about a history, and returns its path.
func show(info porcupine.LinearizationInfo, dir string) (path string, err error) {
	file, err := os.CreateTemp(dir, "lincheck-*.html")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return file.Name(), porcupine.Visualize(model, info, file)
}
