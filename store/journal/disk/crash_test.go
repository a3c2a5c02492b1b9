package disk

import (
	"flag"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/disk/internal/crash"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

var crashStates = flag.Int("states", 0, "open at least so many states that are left by power failures and kills at random")

// What a process does that creates a journal, or carries one, and an event without which
// it has missed its point.
var works = []struct {
	name  string
	point func(crash.Event) bool
	work  func(*run)
}{
	{"small batches", func(e crash.Event) bool { return len(labels.FindAll(e.Data, -1)) > 1 }, func(r *run) {
		r.open()
		for i := range 8 {
			r.round(40 + 200*(i%3))
			if i%4 == 2 {
				r.refused(i % crashParts)
			}
		}
		r.close()
		r.open()
		r.compact()
		r.round(100)
		r.append(0, 10)
	}},
	{"segments that are used again", does("wal.Log.reuse: names"), func(r *run) {
		r.open()
		for i := range 24 {
			r.append(i%crashParts, 5000)
			r.rest()
			if i%6 == 5 {
				r.compact()
			}
		}
		r.close()
		r.open()
		for i := range 6 {
			r.append(i%crashParts, 5000)
		}
	}},
	{"values larger than a segment", does("wal.Log.make: names"), func(r *run) {
		r.open()
		for i := range 6 {
			r.append(i%crashParts, 100)
			r.append(0, 20_000+10_000*(i%3))
			if i%2 == 1 {
				r.compact()
			}
		}
		r.append(1, 100)
	}},
	{"checkpoints by themselves", does("pages.File.replaceBy: names"), func(r *run) {
		r.opts.CheckpointBytes, r.opts.CompactAt, r.opts.waste = 12<<10, 0.3, 1
		r.open()
		for i := range 24 {
			r.append(i%crashParts, 3000)
			if i%2 == 0 {
				r.rest()
			}
		}
	}},
	{"appends beside a compaction", does("pages.File.replaceBy: names"), func(r *run) {
		r.open()
		for range 2 {
			for i := range 9 {
				r.append(i%crashParts, 8000)
				if i == 5 {
					r.compact()
				}
			}
			r.beside(func() {
				for i := range 3 {
					r.append(i, 20_000)
				}
			})
			r.append(0, 100)
			r.compact()
			r.append(1, 100)
		}
	}},
	{"no room for a segment", does("wal.Log.make: names"), func(r *run) {
		r.open()
		r.outOfRoom(func() {
			for i := range 12 {
				r.append(i%crashParts, 4000)
			}
		})
		for i := range 6 {
			r.append(i%crashParts, 4000)
		}
	}},
	{"no room for a checkpoint", does("pages.File.replaceBy: names"), func(r *run) {
		r.opts.CheckpointBytes = 12 << 10
		r.open()
		for range 2 {
			r.holding(func(c files.Change) error {
				if c.Op == files.Committed {
					return syscall.ENOSPC
				}
				return nil
			})
			for i := range 12 {
				r.append(i%crashParts, 3000)
			}
			time.Sleep(2 * retry)
			r.holding(nil)
			r.append(0, 100)
			time.Sleep(2 * retry)
			r.append(1, 100)
		}
	}},
	{"a journal that was carried", does("disk.directory.create: names"), func(r *run) {
		r.carry()
		r.open()
		r.append(0, 100)
	}},
}

// does finds a sync of a kind.
func does(kind string) func(crash.Event) bool {
	return func(e crash.Event) bool { return e.Sync == kind }
}

// brief does most of what there is to do.
func brief(r *run) {
	r.open()
	r.append(0, 30)
	for i := range 4 {
		r.append(i%crashParts, 5000)
		r.rest()
	}
	r.compact()
	r.append(1, 30_000)
	r.append(2, 5000)
	r.compact()
	for i := range 4 {
		r.append(i%crashParts, 5000)
		r.rest()
	}
	r.compact()
	r.append(0, 5000)
}

// onward makes a checkpoint soon, and then begins a segment.
func onward(r *run) {
	r.open()
	r.append(0, 30)
	r.compact()
	r.append(1, 12_000)
	r.append(1, 12_000)
	r.rest()
	r.compact()
	r.append(2, 12_000)
	r.rest()
	r.compact()
	r.append(1, 12_000)
}

// anything does what comes.
func anything(r *run) {
	if r.random.IntN(2) == 0 {
		r.opts.CheckpointBytes, r.opts.CompactAt, r.opts.waste = 12<<10, 0.3, 1
	}
	r.open()
	sizes := []int{30, 3000, 12_000, 25_000}
	for range 12 {
		p, size := r.random.IntN(crashParts), sizes[r.random.IntN(len(sizes))]
		switch r.random.IntN(12) {
		case 0, 1:
			r.compact()
		case 2:
			r.round(size)
		case 3:
			r.close()
			r.open()
		case 4:
			r.rest()
		case 5:
			r.refused(p)
		default:
			r.append(p, size)
		}
	}
}

// After a power failure at any moment of a process's life, the journal opens, and holds all
// that was acknowledged, and beside that at most whole rounds that were being written. It
// goes on, and opens again.
func TestPowerFailure(t *testing.T) {
	e := newExplorer(t)
	chains := map[string]chain{}
	for _, w := range works {
		chains[w.name] = emptyDisk(w.name).then(t, 1, w.work)
		require.True(t, slices.ContainsFunc(chains[w.name].last(), w.point), w.name)
	}
	chains["brief"] = emptyDisk("brief").then(t, 1, brief)

	t.Run("in one life", func(t *testing.T) {
		defer e.log(t)()
		for _, w := range works {
			require.NoError(t, e.explore(chains[w.name], view{share: 1, many: inShort(0, 2)}))
		}
	})

	// What a killed process has written is there for the next one, and may not be durable.
	t.Run("after a kill at any moment", func(t *testing.T) {
		defer e.log(t)()
		for i, event := range chains["brief"].last() {
			if event.Mark == nil && !event.Within && i%inShort(8, 1) == 0 {
				c := chains["brief"].killed(i+1).then(t, 2, onward)
				require.NoError(t, e.explore(c, view{share: 0.05, many: 1}))
			}
		}
	})

	t.Run("after a kill of who opens it after a kill", func(t *testing.T) {
		defer e.log(t)()
		for i := 0; i < len(chains["brief"].last()); i += inShort(60, 12) {
			second := chains["brief"].killed(i+1).then(t, 2, onward)
			for k, event := range second.last() {
				if _, isOpen := event.Mark.(openedAll); isOpen {
					break
				}
				if event.Mark == nil && !event.Within && k%inShort(4, 1) == 0 {
					require.NoError(t, e.explore(second.killed(k+1).then(t, 3, onward), view{share: 0.05, many: 1}))
				}
			}
		}
	})

	t.Run("after a power failure at any moment", func(t *testing.T) {
		defer e.log(t)()
		for _, c := range e.eachPowerLost(chains["brief"], inShort(8, 1)) {
			require.NoError(t, e.explore(c.then(t, 2, onward), view{share: 0.1}))
		}
	})

	t.Run("after power failures and kills at random", func(t *testing.T) {
		defer e.log(t)()
		end := e.states + max(inShort(200, 1500), *crashStates)
		for seed := uint64(3); e.states < end; seed++ {
			c := chains[works[e.random.IntN(len(works))].name]
			for range 1 + e.random.IntN(2) {
				if e.random.IntN(2) == 0 {
					c = e.powerLost(c)
				} else {
					c = c.killed(1 + e.random.IntN(len(c.last())))
				}
				c = c.then(t, seed, []func(*run){onward, anything}[seed%2])
			}
			require.NoError(t, e.explore(c, view{share: 0.15, many: 2}))
		}
	})

	t.Run("needs every sync", func(t *testing.T) {
		defer e.log(t)()
		for _, s := range syncs {
			problem := e.without(t, chains, s)
			if s.unneeded != "" {
				assert.NoError(t, problem, "%s is needed, although %s", s.kind, s.unneeded)
				continue
			}
			if assert.Error(t, problem, "no state needs %s", s.kind) {
				t.Logf("without %s: %v", s.kind, problem)
			}
		}
		done, tried := map[string]bool{}, map[string]bool{}
		for _, c := range chains {
			for _, event := range c.last() {
				if event.Sync != "" && !event.Within {
					done[event.Sync] = true
				}
			}
		}
		for _, s := range syncs {
			tried[s.kind] = true
		}
		assert.Equal(t, done, tried)
	})
}

// A neededSync is a kind of syncs without which a power failure leaves states that are not
// opened, or have lost what was acknowledged.
type neededSync struct {
	kind string

	// insteadOf is a sync before which a process is killed, if it is that of which the
	// next process must be independent.
	insteadOf []string

	unneeded string // why
}

var syncs = []neededSync{
	{kind: "disk.directory.create: format.new"},
	{kind: "disk.directory.create: names before format"},
	{kind: "pages.File.writeBeside: pages.new"},
	{kind: "pages.File.replaceBy: names before format", unneeded: "the first segment's name is synced after it, before format gets its own"},
	{kind: "wal.Log.make: log-N.new"},
	{kind: "wal.Log.make: names before format"},
	{kind: "disk.directory.create: names"},
	{kind: "pages.File.Settle: pages", insteadOf: []string{crash.MetaSync}},
	{kind: "wal.Log.Settle: log-N", insteadOf: []string{"wal.Log.Append: log-N"}},
	{kind: "disk.directory.open: names", insteadOf: []string{"wal.Log.make: names", "wal.Log.reuse: names"}},
	{kind: "disk.directory.syncParent: the root"},
	{kind: "wal.Log.Append: log-N"},
	{kind: "wal.Log.make: names"},
	{kind: "wal.Log.reuse: names"},
	{kind: crash.PagesSync},
	{kind: crash.MetaSync},
	{kind: "pages.File.replaceBy: names"},
}

// without looks for a problem without the syncs of a kind.
func (e *explorer) without(t *testing.T, chains map[string]chain, s neededSync) error {
	if s.insteadOf == nil {
		for _, w := range works {
			if err := e.explore(chains[w.name], view{ignored: s.kind, share: 1, many: inShort(0, 1)}); err != nil {
				return err
			}
		}
		return nil
	}
	brief := chains["brief"]
	for i, event := range brief.last() {
		if slices.Contains(s.insteadOf, event.Sync) && !event.Within {
			if err := e.explore(brief.killed(i).then(t, 2, onward), view{ignored: s.kind, share: 1, many: inShort(0, 1)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func inShort(short, long int) int {
	if testing.Short() {
		return short
	}
	return long
}

// log logs what was done since.
func (e *explorer) log(t *testing.T) func() {
	chains, moments, states, began := e.chains, e.moments, e.states, time.Now()
	return func() {
		t.Logf("%d chains, power lost at %d moments, %d states, %v",
			e.chains-chains, e.moments-moments, e.states-states, time.Since(began).Round(time.Millisecond))
	}
}
