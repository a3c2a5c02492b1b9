package lincheck

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A Config says how much [Check] does. The zero value is useful. A negative number
// counts as 0.
type Config struct {
	Histories  int    // each on a store of its own; 0 means 20
	Operations int    // in each history, without the audit; 0 means 2,000
	Runtimes   int    // 0 means 4
	Callers    int    // at the same time; 0 means 6. With many more the check takes long
	Seed       uint64 // of the programs. How they interleave is not repeatable
	Spanning   int    // further histories of 200 operations, whose batches span runtimes; 0 means 50
	Importing  int    // further ones like these, in which callers import; 0 means 20
	Dir        string // for the page of a refuted history; for empty see Check
	Record     string // a file, to which Check adds a line of JSON about each run, and logs what all come to; "" for none

	// Versions is how many versions of a session the stores keep, the last one among
	// them: Last of their store.Retention.Sessions. 0 means that this is zero.
	Versions int

	// UniqueKeys says that the stores refuse keys that are taken. Keys is how many they keep
	// of inputs that are gone: Last of their store.Retention.Keys. Tombstones is how many
	// they keep of runtimes: no fewer than Runtimes, but for CheckProgram. 0 means none.
	UniqueKeys       bool
	Keys, Tombstones int

	// Queue is that of the stores. It says that in the histories which span runtimes callers
	// claim inputs, if the stores are a state.Claimer. AnyTurn says that the order in which
	// runtimes have their turns is open, as it is where a store is opened again, or takes
	// back what it has done.
	Queue   state.Queue
	AnyTurn bool

	// Reader opens a reader of a runtime of s, a store that open returned. nil means
	// that the store has no readers.
	Reader func(s store.RuntimeStore, id store.RuntimeID) Look

	// TooLarge is an error with which the stores may refuse any write that is larger than
	// what they can take at once. nil means that there is none.
	TooLarge error

	spans   bool
	round   int       // calls of each caller from one audit to the next
	imports bool      // whether callers import
	exports []*export // that they import
}

// spanning returns the Config of the histories whose batches span runtimes. They are
// checked whole, so the orders that are open in one runtime multiply with those of the
// others, until an audit leaves one.
func (c Config) spanning() Config {
	c.Histories, c.Operations, c.Runtimes, c.Callers, c.spans = c.Spanning, 200, 3, min(c.Callers, 4), true
	c.round = 10
	return c
}

// importing returns the Config of the histories with imports.
func (c Config) importing() Config {
	c = c.spanning()
	c.Histories, c.round, c.imports = c.Importing, roundOfImports, true
	return c
}

func (c Config) withDefaults() Config {
	c.Histories = cmp.Or(max(c.Histories, 0), 20)
	c.Operations = cmp.Or(max(c.Operations, 0), 2000)
	c.Runtimes = cmp.Or(max(c.Runtimes, 0), 4)
	c.Callers = cmp.Or(max(c.Callers, 0), 6)
	c.Spanning = cmp.Or(max(c.Spanning, 0), 50)
	c.Importing = cmp.Or(max(c.Importing, 0), 20)
	c.Versions = max(c.Versions, 0)
	c.round = c.Operations
	return c
}

// A TB is what [Check] needs of a test. A *testing.T has it.
type TB interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Check records histories, each on a store that open returns, and fails the test at the
// first history that is not linearizable. It closes stores that are an [io.Closer]
// only after every 200 histories and at the end, because a call that was given up
// could still be applied: Check looks for that after a pause.
//
// A refuted history is shown on a page. It is written to cfg.Dir, or else to the test's
// ArtifactDir if that is kept (go test -artifacts), or else to the directory for
// temporary files.
func Check(t TB, open func() store.RuntimeStore, cfg Config) Stats {
	t.Helper()
	c := check{cfg: cfg.withDefaults()}
	c.cfg.Dir = cmp.Or(c.cfg.Dir, pages(t))
	began := time.Now()
	err := errors.Join(c.run(t.Context(), open), c.close())
	if err != nil {
		t.Errorf("%v", err)
	}
	t.Logf("%v", c.stats)
	if cfg.Record != "" {
		ended := time.Now()
		all, err := note(cfg.Record, finished{
			Ended: ended, Seconds: ended.Sub(began).Seconds(), Histories: c.stats.Histories,
			Operations: c.stats.Operations + c.stats.Audited, Fault: err != nil,
		})
		if err != nil {
			t.Errorf("the run is not recorded: %v", err)
		}
		t.Logf("%s", all)
	}
	return c.stats
}

// pages returns a directory for pages that are read after the test.
func pages(t TB) string {
	kept := flag.Lookup("test.artifacts")
	a, ok := t.(interface{ ArtifactDir() string })
	if ok && kept != nil && kept.Value.String() == "true" { // else it is removed with the test
		return a.ArtifactDir()
	}
	return os.TempDir()
}

// A check is one run of Check.
type check struct {
	cfg     Config
	stats   Stats
	open    []opening // not closed yet
	offered abilities
}

// An opening is the store of a history, and the history's audit.
type opening struct {
	history int
	store   store.RuntimeStore
	cfg     Config
	audit   []turn
}

// together is how many stores are open at most. They take memory.
const together = 200

func (c *check) run(ctx context.Context, open func() store.RuntimeStore) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nothing was checked: the test's context had ended before: %w", err)
	}
	if n := c.cfg.Tombstones; n > 0 && n < c.cfg.Runtimes {
		return fmt.Errorf("nothing was checked: histories that are checked runtime by runtime need as many tombstones as there are runtimes, not %d", n)
	}
	if err := c.histories(ctx, open, c.cfg); err != nil {
		return err
	}
	if answered := c.stats.Operations - c.stats.Cancelled - c.stats.TooLarge; answered == 0 || answered < c.stats.Operations/4 {
		return fmt.Errorf("%d of %d calls were answered, which is too few to show anything", answered, c.stats.Operations)
	}
	if c.offered.any() {
		if err := c.histories(ctx, open, c.cfg.spanning()); err != nil {
			return fmt.Errorf("spanning %w", err)
		}
	}
	if c.offered.imports {
		if err := c.histories(ctx, open, c.cfg.importing()); err != nil {
			return fmt.Errorf("importing %w", err)
		}
	}
	return c.lookAgain(ctx)
}

func (c *check) histories(ctx context.Context, open func() store.RuntimeStore, cfg Config) error {
	for n := range cfg.Histories {
		if err := c.history(ctx, open, cfg, n); err != nil {
			return fmt.Errorf("history %d of seed %d: %w", n, cfg.Seed, err)
		}
		if len(c.open) < together {
			continue
		}
		if err := errors.Join(c.lookAgain(ctx), c.close()); err != nil {
			return err
		}
	}
	return nil
}

// history checks one. The few whose orders are too many to try, since very many calls
// overlapped, are recorded again: they interleave in another way then.
func (c *check) history(ctx context.Context, open func() store.RuntimeStore, cfg Config, n int) error {
	const tries = 3
	for try := 1; ; try++ {
		stats, err := c.recorded(ctx, open, cfg, n)
		if errors.Is(err, errUndecided) && try < tries {
			continue
		}
		c.stats.add(stats)
		if err == nil {
			c.stats.Histories++
		}
		return err
	}
}

func (c *check) recorded(ctx context.Context, open func() store.RuntimeStore, cfg Config, n int) (stats Stats, err error) {
	s, err := opened(open)
	if err != nil {
		return stats, err
	}
	c.offered = abilitiesOf(s, &cfg)
	if cfg.imports {
		if cfg.exports, err = exportsOf(ctx, open, cfg, n); err != nil {
			return stats, errors.Join(err, closeStore(s))
		}
	}
	h, err := record(ctx, s, cfg, n)
	c.open = append(c.open, opening{n, s, cfg, h.audit})
	if err == nil {
		err = h.check(cfg)
	}
	return h.stats, err
}

// opened returns a store from open, or an error if that is nil.
func opened(open func() store.RuntimeStore) (store.RuntimeStore, error) {
	s := open()
	if v := reflect.ValueOf(s); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, fmt.Errorf("open returned a nil store (%T)", s)
	}
	return s, nil
}

// pause is how long Check waits for calls that were given up and are applied all the
// same.
const pause = 250 * time.Millisecond

// lookAgain repeats the loads of all audits. Nothing was written since.
func (c *check) lookAgain(ctx context.Context) error {
	if len(c.open) > 0 {
		time.Sleep(pause)
	}
	for _, o := range c.open {
		if err := o.lookAgain(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("history %d of seed %d, after a pause: %w", o.history, c.cfg.Seed, err)
		}
	}
	return nil
}

func (o opening) lookAgain(ctx context.Context) error {
	again := &caller{program: make([]turn, len(o.audit)), due: len(o.audit)}
	for i := range o.audit {
		again.program[i].call = o.audit[i].call
	}
	r := newRecorder(o.store, &o.cfg)
	if err := r.run(ctx, again); err != nil {
		return err
	}
	for i := range o.audit {
		if err := same(&o.audit[i], &again.program[i]); err != nil {
			return err
		}
	}
	return nil
}

// same returns an error if a load has another answer after the pause.
func same(before, after *turn) error {
	was, err := before.judge()
	if err != nil {
		return err
	}
	is, err := after.judge()
	if err != nil {
		return err
	}
	if !is.equal(was) {
		return fmt.Errorf("written after all calls had returned: %v is answered with %v, and was answered with %v", after.call, is, was)
	}
	return nil
}

func (c *check) close() error {
	var err error
	for _, o := range c.open {
		err = errors.Join(err, closeStore(o.store))
	}
	c.open = nil
	return err
}

// closeStore closes a store that has a Close.
func closeStore(s store.RuntimeStore) (err error) {
	if c, ok := s.(io.Closer); ok && !within(func() { err = c.Close() }) {
		return hanging("Close")
	}
	return err
}

// patience is how long the check of one history may take. It takes a few milliseconds,
// unless very many calls overlap.
const patience = time.Minute

var errUndecided = fmt.Errorf("not decided within %v", patience)

// check looks for an order of the history. Its error shows the first part without one.
func (h *history) check(cfg Config) error {
	model := modelOf(cfg.spans, cfg.rules())
	parts := [][]porcupine.Operation{h.operations}
	switch porcupine.CheckOperationsTimeout(model, h.operations, patience) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return errUndecided
	}
	if !cfg.spans {
		parts = byRuntime(h.operations)
	}
	for _, part := range parts {
		result, info := porcupine.CheckOperationsVerbose(model, part, patience)
		if result != porcupine.Ok {
			return refuted(model, part, info, cfg.Dir)
		}
	}
	return errors.New("not linearizable, but each runtime is")
}

// refuted returns an error that describes a part of a history without an order.
func refuted(model porcupine.Model, part []porcupine.Operation, info porcupine.LinearizationInfo, dir string) error {
	longest, stuck := progress(part, info)
	before := model.Init().(*world)
	for _, o := range longest {
		_, before = before.step(o.Input.(*call), o.Output.(*answer))
	}
	want, _ := before.step(stuck.Input.(*call), stuck.Output.(*answer))
	where := "all runtimes"
	if !before.exact {
		where = string(part[0].Input.(*call).runtime)
	}
	page, err := show(model, info, dir)
	if err != nil {
		page = "nowhere: " + err.Error()
	}
	return fmt.Errorf("not linearizable: %d of %d calls on %s have an order; the first that does not fit is\n\n\t%s\n\t(caller %d, from %d to %d)\n\nThe model would answer\n\n\t%v\n\nin the state after them, which is\n\n\t%v\n\nThe history is shown in %s",
		len(longest), len(part), where,
		model.DescribeOperation(stuck.Input, stuck.Output), stuck.ClientId, stuck.Call, stuck.Return,
		&want, before, page)
}

// progress returns the longest order that was found, and of the calls outside it the one
// that returned first.
func progress(part []porcupine.Operation, info porcupine.LinearizationInfo) (longest []porcupine.Operation, stuck porcupine.Operation) {
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
	for _, o := range part {
		if !placed[o.Call] && (stuck.Input == nil || o.Return < stuck.Return) {
			stuck = o
		}
	}
	return longest, stuck
}

// show writes porcupine's page about a history and returns its path.
func show(model porcupine.Model, info porcupine.LinearizationInfo, dir string) (path string, err error) {
	file, err := os.CreateTemp(dir, "lincheck-*.html")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return file.Name(), porcupine.Visualize(model, info, file)
}
