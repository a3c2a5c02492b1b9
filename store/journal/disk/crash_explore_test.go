package disk

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/crash"
)

// An explorer opens states in which power failures leave chains.
type explorer struct {
	random *rand.Rand
	jobs   chan job
	all    sync.WaitGroup
	busy   sync.WaitGroup // with jobs

	chains, moments, states int

	mu      sync.Mutex
	good    map[uint64]bool // states that were opened, or will be
	problem error           // the first
}

// A job is a state to be opened.
type job struct {
	key     uint64
	state   crash.State
	history *history
	what    string
}

func newExplorer(t *testing.T) *explorer {
	e := &explorer{random: rand.New(rand.NewPCG(1, 1)), jobs: make(chan job), good: map[uint64]bool{}}
	dir := crashDir(t)
	for i := range runtime.GOMAXPROCS(0) {
		root := filepath.Join(dir, fmt.Sprint(i))
		e.all.Go(func() {
			for j := range e.jobs {
				if err := j.open(root); err != nil {
					e.report(j, fmt.Errorf("%s: %w", j.what, err))
				}
				e.busy.Done()
			}
		})
	}
	t.Cleanup(func() {
		close(e.jobs)
		e.all.Wait()
	})
	return e
}

func (e *explorer) report(j job, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.good, j.key)
	if e.problem == nil {
		e.problem = err
	}
}

// add lets a state be opened, if it was not yet. It reports whether all is well so far.
func (e *explorer) add(j job) bool {
	e.mu.Lock()
	known, well := e.good[j.key], e.problem == nil
	e.good[j.key] = e.good[j.key] || well
	e.mu.Unlock()
	if !known && well {
		e.states++
		e.busy.Add(1)
		e.jobs <- j
	}
	return well
}

// A view is which states are looked at.
type view struct {
	ignored string  // the kind of syncs that do nothing
	share   float64 // of the moments of a life, 1 for all
	many    int     // random states at each of these
}

// explore opens the states in which a power failure may leave the last life of a chain, and
// returns the first problem that there is.
func (e *explorer) explore(c chain, v view) error {
	e.chains++
	before := c
	before.lives = c.lives[:len(c.lives)-1]
	disk, h := before.end(v.ignored)
	for i, event := range c.last() {
		disk.Step(event, v.ignored)
		h = h.step(event)
		if event.Within || v.share < 1 && e.random.Float64() > v.share {
			continue
		}
		e.moments++
		well := true
		promise := maphash.String(crashSeed, fmt.Sprint(h.acked, h.epochs, h.cuts))
		disk.States(v.many, e.random, func(s crash.State) {
			what := fmt.Sprintf("%s, power lost behind event %d, %s", c.name, i, describe(event))
			well = well && e.add(job{maphash.Comparable(crashSeed, [2]uint64{s.Sum(), promise}), s, h, what})
		})
		if !well {
			break
		}
	}
	e.busy.Wait()
	problem := e.problem
	e.problem = nil
	return problem
}

// powerLost returns a chain that begins with one of the states in which a power failure may
// leave the last life of this one.
func (e *explorer) powerLost(c chain) chain {
	all := e.powerLostAt(c, 1+e.random.IntN(len(c.last())), 3)
	return all[e.random.IntN(len(all))]
}

// powerLostAt returns chains that begin with states in which a power failure may leave the
// last life of this one behind so many events.
func (e *explorer) powerLostAt(c chain, events, many int) (all []chain) {
	killed := c.killed(events)
	disk, h := killed.end("")
	name := fmt.Sprintf("%s, power lost behind %d events", c.name, events)
	disk.States(many, e.random, func(s crash.State) {
		all = append(all, chain{name: fmt.Sprintf("%s, state %d", name, len(all)), disk: crash.NewDisk(s), history: h})
	})
	return all
}

// eachPowerLost returns a chain for each state in which a power failure may leave the last
// life of this one, or of each so many one.
func (e *explorer) eachPowerLost(c chain, every int) (all []chain) {
	known := map[uint64]bool{}
	for i, event := range c.last() {
		if event.Mark != nil || event.Within {
			continue
		}
		for _, next := range e.powerLostAt(c, i+1, 0) {
			sum := next.disk.Settled().Sum()
			if !known[sum] && len(known)%every == 0 {
				all = append(all, next)
			}
			known[sum] = true
		}
	}
	return all
}

func describe(e crash.Event) string {
	switch {
	case e.Mark != nil:
		return fmt.Sprintf("%T %+v", e.Mark, e.Mark)
	case e.Sync != "":
		return fmt.Sprintf("synced by %s", e.Sync)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Op, e.Path, e.To))
}

// open opens a state: it must hold what was acknowledged and nothing that was not tried,
// and go on, and when it is opened again hold that.
func (j job) open(root string) error {
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	if err := j.state.Write(root); err != nil {
		return err
	}
	first, err := lookAt(root, true)
	if err != nil {
		return err
	}
	h, found := j.history, cut{}
	for p, l := range first {
		found[p] = int(l.at.Index)
	}
	if !h.allows(found) {
		return fmt.Errorf("it holds %v; %v were acknowledged, and the log may be one of %v", found, h.acked, h.cuts)
	}
	for p, l := range first {
		switch {
		case l.sum != h.sums[p][found[p]]:
			return fmt.Errorf("partition %d stands at %v, and does not hold what it did then", p, l.at)
		case l.at.Epoch <= h.epochs[p]:
			return fmt.Errorf("partition %d has epoch %d, and was told of %d", p, l.at.Epoch, h.epochs[p])
		}
	}
	second, err := lookAt(root, false)
	if err != nil {
		return fmt.Errorf("opened again: %w", err)
	}
	for p, l := range second {
		want := journal.Position{Epoch: first[p].at.Epoch + 1, Index: first[p].at.Index + 1}
		if l.at != want || l.sum != first[p].after {
			return fmt.Errorf("opened again: partition %d stands at %v, and should at %v", p, l.at, want)
		}
	}
	return nil
}

// A look is what a partition holds.
type look struct {
	at         journal.Position
	sum, after uint64 // before and after another batch
}

// lookAt opens all partitions, and may append a batch to each.
func lookAt(root string, more bool) (found [crashParts]look, err error) {
	ctx := context.Background()
	engine := New(filepath.Join(root, "journal"), crashOptions())
	for p := range found {
		stands := map[string]string{}
		j, err := engine.Open(ctx, partName(p), func(c journal.Change) error {
			stands[string(c.Key)] = string(c.Value)
			return nil
		})
		if err != nil {
			return found, err
		}
		defer func() { _ = j.Close(ctx) }()
		found[p].at, found[p].sum = j.(*partition).at, sumOf(stands)
		if !more {
			continue
		}
		value := strings.Repeat("more", 500)
		if _, err := j.Append(ctx, journal.Batch{Changes: []journal.Change{{Key: []byte("more"), Value: []byte(value)}}}); err != nil {
			return found, err
		}
		stands["more"] = value
		found[p].after = sumOf(stands)
	}
	return found, nil
}
