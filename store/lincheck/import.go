package lincheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// porter is a store with the Loop's Export and Import.
type porter interface {
	Export(ctx context.Context, w io.Writer) error
	Import(ctx context.Context, r io.Reader) (store.Totals, error)
}

// lister is a store with the Loop's Runtimes.
type lister interface {
	Runtimes(ctx context.Context, listing state.Listing) iter.Seq2[state.RuntimeSummary, error]
}

// deleter is a store with the Loop's DeleteRuntime.
type deleter interface {
	DeleteRuntime(ctx context.Context, id store.RuntimeID) (state.Removed, error)
}

// A summary counts what a runtime holds, or all runtimes do. It is comparable.
type summary struct {
	id                                          store.RuntimeID
	version                                     uint64
	status                                      string
	inputs, runs, receipts, snapshots, versions int
	keys, stones                                int
}

func summaryOf(t store.Totals) summary {
	return summary{inputs: t.InputStates, runs: t.Runs, receipts: t.Receipts, snapshots: t.Snapshots, versions: t.Versions, keys: t.Keys, stones: t.Tombstones}
}

func (s summary) String() string {
	text := fmt.Sprintf("%d inputs, %d runs, %d receipts, %d snapshots, %d versions before them, %d keys, %d tombstones", s.inputs, s.runs, s.receipts, s.snapshots, s.versions, s.keys, s.stones)
	if s.id == "" {
		return text
	}
	return fmt.Sprintf("%s at version %d (%q, %s)", s.id, s.version, s.status, text)
}

// summary counts what the runtime holds.
func (s *model) summary() (all summary) {
	all.inputs, all.runs, all.keys = len(s.inputs), len(s.runs), len(s.used)
	for _, r := range s.runs {
		all.receipts += len(r.receipts)
	}
	if n := len(s.versions); n > 0 {
		all.snapshots, all.versions = 1, n-1
	}
	return all
}

// list returns the summaries of all runtimes.
func (w *world) list() (all []summary) {
	for _, id := range w.order {
		s := w.runtimes[id]
		one := s.summary()
		one.id, one.version, one.status = id, s.version, s.status
		all = append(all, one)
	}
	return all
}

// total returns the sum of all runtimes.
func (w *world) total() (all summary) {
	all.stones = len(w.stones)
	for _, s := range w.list() {
		all.inputs += s.inputs
		all.runs += s.runs
		all.receipts += s.receipts
		all.snapshots += s.snapshots
		all.versions += s.versions
		all.keys += s.keys
	}
	return all
}

// imported takes over all of an export, if nothing was ever held.
func (w *world) imported(e *export) (want answer, after *world) {
	if w.revision > 0 {
		return answer{refusal: store.ErrNotEmpty}, w
	}
	w = e.world.clone()
	w.line, w.touched = nil, w.order // all wait as long
	w.lineUp()
	if w.revision > 0 {
		w = w.leaping()
	}
	return answer{list: []summary{e.world.total()}}, w
}

func (a access) list(ctx context.Context) (r reply, err error) {
	for s, err := range a.store.(lister).Runtimes(ctx, state.Listing{}) {
		if err != nil {
			return reply{}, err
		}
		one := summaryOf(s.Held)
		one.id, one.version, one.status = s.RuntimeID, s.Version, string(s.RuntimeState)
		r.list = append(r.list, one)
	}
	return r, nil
}

func (a access) importOf(ctx context.Context, e *export) (reply, error) {
	held, err := a.store.(porter).Import(ctx, &reading{from: bytes.NewReader(e.file), whole: a.read})
	return reply{list: []summary{summaryOf(held)}}, err
}

// An export is a file that a store has written, with what it holds in the model's terms.
type export struct {
	name  string
	file  []byte
	world *world
}

func (e *export) String() string {
	return fmt.Sprintf("%s: %d bytes at revision %d", e.name, len(e.file), e.world.revision)
}

// A reading gives a file a little at a time, so that others come between, and tells when
// it has given all.
type reading struct {
	from  io.Reader
	whole func()
}

func (r *reading) Read(p []byte) (int, error) {
	runtime.Gosched()
	n, err := r.from.Read(p[:min(len(p), 4<<10)])
	if err != nil && r.whole != nil {
		r.whole()
	}
	return n, err
}

// A gate lets callers through from a moment on.
type gate struct {
	open chan struct{}
	once sync.Once
}

func newGates() []*gate {
	all := make([]*gate, attempts)
	for i := range all {
		all[i] = &gate{open: make(chan struct{})}
	}
	return all
}

func (g *gate) pass() { g.once.Do(func() { close(g.open) }) }

const (
	exports        = 2   // of each history with imports
	exportedWrites = 120 // about how many calls made what one holds
	attempts       = 3   // of each caller that imports
)

// exportsOf returns what the callers of a history import, each from a store of its own.
func exportsOf(ctx context.Context, open func() store.RuntimeStore, cfg Config, n int) (all []*export, err error) {
	for nth := range exports {
		s, err := opened(open)
		if err != nil {
			return nil, err
		}
		e, err := exported(ctx, s, cfg, n, nth)
		if err := errors.Join(err, closeStore(s)); err != nil {
			return nil, err
		}
		if nth == 0 {
			if err := twice(ctx, open, e); err != nil {
				return nil, err
			}
		}
		all = append(all, e)
	}
	return all, nil
}

// twice imports an export into two stores. Its error says that they gave inputs the same
// version.
func twice(ctx context.Context, open func() store.RuntimeStore, e *export) error {
	of := slices.IndexFunc(e.world.order, func(id store.RuntimeID) bool { return len(e.world.runtimes[id].inputs) > 0 })
	if of < 0 {
		return nil
	}
	id := e.world.order[of]
	look := &call{kind: ops.KindLoadInput, runtime: id, input: e.world.runtimes[id].inputs[0].id}
	var fences [2]uint64
	for i := range fences {
		s, err := opened(open)
		if err != nil {
			return err
		}
		if abilitiesOf(s, &Config{}).fences {
			if _, err = (access{store: s}).importOf(ctx, e); err == nil {
				var r reply
				r, err = look.perform(ctx, access{store: s})
				fences[i] = r.fence
			}
		}
		if err := errors.Join(err, closeStore(s)); err != nil {
			return err
		}
	}
	if fences[0] > 0 && fences[0] == fences[1] {
		return fmt.Errorf("two imports of %v gave inputs the same version %d: a fence of one holds in the other", e, fences[0])
	}
	return nil
}

// exported has a store write an export, after a program whose answers are the model's.
func exported(ctx context.Context, s store.RuntimeStore, cfg Config, n, nth int) (*export, error) {
	can := abilitiesOf(s, &Config{})
	can.forks = can.history
	length := exportedWrites + nth // so that the marks are others
	from := program(Config{Seed: cfg.Seed, Operations: length, Runtimes: cfg.Runtimes, Tombstones: cfg.Tombstones, spans: true}, can, n, firstExporter+nth, length)
	r, at, known := newRecorder(s, &Config{TooLarge: cfg.TooLarge}), &world{exact: true, rules: cfg.rules()}, make(memory)
	for i := range from {
		t := &from[i]
		t.plan = plan{}
		known.recall(t.call)
		r.take(ctx, new(sync.WaitGroup), access{store: s}, t)
		got, err := t.judge()
		if err != nil {
			return nil, err
		}
		if got == nil {
			continue
		}
		want, after := at.step(t.call, got)
		if !want.equal(got) {
			return nil, fmt.Errorf("before an export %v was answered with %v, the model answers %v", t.call, got, &want)
		}
		at = after
		known.learn(t)
	}
	var file bytes.Buffer
	if err := s.(porter).Export(ctx, &file); err != nil {
		return nil, err
	}
	return &export{fmt.Sprintf("export %d", nth), file.Bytes(), at}, nil
}

// firstExporter is the number of the caller that makes the first export: more than there
// are others.
const firstExporter = 1 << 10

// importing turns the program of a caller into one of a history with imports. One or two
// callers import at first. In two histories of three the others only load then, so an
// import finds nothing unless it is given up. A caller that is to come while an import is
// under way waits until the file is read.
func importing(g *generator, rng *rand.Rand, all []*export, history, caller int, turns []turn) {
	importers := 1 + history%2
	quiet := rng.IntN(len(turns) + 1)
	if history%3 > 0 {
		quiet = roundOfImports
	}
	for i := range turns[:min(len(turns), roundOfImports)] {
		t := &turns[i]
		switch {
		case caller < importers && i < attempts:
			t.call = &call{kind: ops.KindImport, export: all[rng.IntN(len(all))]}
			if caller == 0 {
				t.plan.opens = 1 + i
			}
			if t.plan.ends && t.plan.after >= 0 {
				t.plan.after = rng.IntN(300)
			}
		case i < quiet:
			g.loads = true
			t.call = g.call()
			g.loads = false
		}
		if caller > 0 && rng.IntN(3) == 0 {
			t.plan.awaits = 1 + rng.IntN(attempts)
		}
	}
}

const roundOfImports = 10
