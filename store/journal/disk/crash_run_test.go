package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/crash"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/pages"
)

// crashParts is how many partitions a run has: one whose frame is being written, and two
// that share the next one.
const crashParts = 3

func partName(p int) string { return "p" + strconv.Itoa(p) }

// A cut says how many batches of each partition a log holds.
type cut [crashParts]int

// A history says what a journal must hold.
type history struct {
	sums   [crashParts][]uint64 // of what stands, by how many batches were stored
	acked  cut
	epochs [crashParts]uint64
	cuts   []cut // where the log may end: as it was found, and behind each frame since
}

func newHistory() *history {
	h := &history{cuts: []cut{{}}}
	for p := range h.sums {
		h.sums[p] = []uint64{sumOf(nil)}
	}
	return h
}

// The marks of a run.
type (
	opened struct { // a partition
		p, index int
		epoch    uint64
	}
	openedAll struct{}
	carrying  struct { // a partition of an earlier version
		p, index int
		sum      uint64
	}
	carried struct{}
	tried   struct { // a batch
		p, index int
		sum      uint64
	}
	acked struct{ p, index int } // a batch
)

// label stands in each batch, and in no other.
func label(p, index int) string { return fmt.Sprintf("<%d#%d>", p, index) }

var labels = regexp.MustCompile(`<(\d+)#(\d+)>`)

// step returns the history with an event.
func (h *history) step(e crash.Event) *history {
	next := *h
	switch m := e.Mark.(type) {
	case opened:
		next.acked[m.p], next.epochs[m.p] = m.index, m.epoch
	case openedAll:
		next.cuts = []cut{h.acked}
	case carrying:
		next.sums[m.p] = make([]uint64, m.index+1)
		next.sums[m.p][0], next.sums[m.p][m.index] = h.sums[m.p][0], m.sum
		all := h.acked
		all[m.p] = m.index
		next.cuts = []cut{h.acked, all}
	case carried:
		next.acked = h.cuts[1]
	case tried:
		next.sums[m.p] = append(slices.Clip(h.sums[m.p][:m.index]), m.sum)
	case acked:
		next.acked[m.p] = m.index
	default:
		if e.Op != files.Written || !strings.HasPrefix(filepath.Base(e.Path), "log-") {
			return h
		}
		after := h.cuts[len(h.cuts)-1]
		for _, found := range labels.FindAllSubmatch(e.Data, -1) {
			p, _ := strconv.Atoi(string(found[1]))
			after[p], _ = strconv.Atoi(string(found[2]))
		}
		if after == h.cuts[len(h.cuts)-1] {
			return h
		}
		next.cuts = append(slices.Clip(h.cuts), after)
	}
	return &next
}

// allows reports whether the log may end at a cut.
func (h *history) allows(c cut) bool {
	for p := range c {
		if c[p] < h.acked[p] {
			return false
		}
	}
	return slices.Contains(h.cuts, c)
}

var crashSeed = maphash.MakeSeed()

// sumOf tells apart what stands in a partition.
func sumOf(stands map[string]string) uint64 {
	var sum maphash.Hash
	sum.SetSeed(crashSeed)
	for _, key := range slices.Sorted(maps.Keys(stands)) {
		maphash.WriteComparable(&sum, key)
		maphash.WriteComparable(&sum, stands[key])
	}
	return sum.Sum64()
}

// crashOptions are small, so that much happens in a run. A checkpoint is made by Compact.
func crashOptions() Options {
	return Options{
		Timeout: -1, CheckpointBytes: 1 << 40, CompactAt: -1, segment: 16 << 10,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// crashDir returns a directory in memory if there is one: a state is on a disk that does
// not fail.
func crashDir(t testing.TB) string {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	memory := filepath.Join("/dev/shm", strings.ReplaceAll(dir, string(filepath.Separator), "-"))
	if err := os.Mkdir(memory, 0o700); err != nil {
		return dir
	}
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(memory)) })
	return memory
}

// A run is a process that has a journal open, and is recorded.
type run struct {
	t        *testing.T
	random   *rand.Rand
	recorder *crash.Recorder
	path     string
	opts     Options
	history  *history // when it began

	engine   *Engine
	journals [crashParts]journal.Journal
	stands   [crashParts]map[string]string
	indexes  [crashParts]int

	full     bool // there is no room for another segment
	rejected int  // appends

	mu   sync.Mutex
	hold func(files.Change) error // the next change, if any
}

// A life is what a process does from when power came back, or another one was killed, until
// it ends.
type life []crash.Event

// A chain is lives since power came back. All of them but the last were killed, so what
// they have written is there for the next one, and may be lost.
type chain struct {
	name    string
	disk    *crash.Disk // when power came back
	history *history
	lives   []life
}

func emptyDisk(name string) chain {
	return chain{name: name, disk: crash.NewDisk(crash.State{}), history: newHistory()}
}

// then returns the chain with another life, in which a process does work.
func (c chain) then(t *testing.T, seed uint64, work func(*run)) chain {
	disk, history := c.end("")
	root := filepath.Join(crashDir(t), "run")
	recorder, err := crash.Record(root, disk)
	require.NoError(t, err)
	var events []crash.Event
	synctest.Test(t, func(t *testing.T) {
		r := &run{
			t: t, random: rand.New(rand.NewPCG(seed, 1)), recorder: recorder,
			path: filepath.Join(root, "journal"), opts: crashOptions(), history: history,
		}
		recorder.Hold = r.held
		defer r.close()
		work(r)
	})
	events = recorder.Stop()
	require.NoError(t, os.RemoveAll(root))
	c.lives = append(slices.Clip(c.lives), events)
	return c
}

// killed returns the chain with its last life ended behind so many events.
func (c chain) killed(events int) chain {
	c.lives = slices.Clone(c.lives)
	last := len(c.lives) - 1
	c.lives[last] = c.lives[last][:events]
	c.name += fmt.Sprintf(", killed behind %d events", events)
	return c
}

func (c chain) last() life { return c.lives[len(c.lives)-1] }

// end returns the disk and the history behind the last life. Syncs of the kind ignored do
// nothing.
func (c chain) end(ignored string) (*crash.Disk, *history) {
	disk, h := c.disk.Clone(), c.history
	for _, l := range c.lives {
		for _, e := range l {
			disk.Step(e, ignored)
			h = h.step(e)
		}
		disk = disk.Clone()
	}
	return disk, h
}

// held lets one change wait, or fail.
func (r *run) held(c files.Change) error {
	r.mu.Lock()
	hold := r.hold
	r.mu.Unlock()
	if hold == nil {
		return nil
	}
	return hold(c)
}

func (r *run) holding(hold func(files.Change) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hold = hold
}

// open opens all partitions, and checks that they hold what they may.
func (r *run) open() {
	r.engine = New(r.path, r.opts)
	var found cut
	for p := range r.journals {
		r.stands[p] = map[string]string{}
		j, err := r.engine.Open(r.t.Context(), partName(p), func(c journal.Change) error {
			r.stands[p][string(c.Key)] = string(c.Value)
			return nil
		})
		require.NoError(r.t, err)
		at := j.(*partition).at
		found[p], r.journals[p], r.indexes[p] = int(at.Index), j, int(at.Index)
		r.recorder.Mark(opened{p, found[p], at.Epoch})
	}
	if r.history != nil {
		require.True(r.t, r.history.allows(found), "found %v, acknowledged %v of %v", found, r.history.acked, r.history.cuts)
		r.history = nil
	}
	r.recorder.Mark(openedAll{})
}

// close closes what is open.
func (r *run) close() {
	for p, j := range r.journals {
		if j != nil {
			require.NoError(r.t, j.Close(r.t.Context()))
		}
		r.journals[p] = nil
	}
}

// rest waits until nothing is done in the background.
func (r *run) rest() { synctest.Wait() }

// append appends a batch with a few keys and values of about a size. Sometimes it deletes
// one.
func (r *run) append(p, size int) {
	r.try(p, r.batch(p, size))
}

func (r *run) batch(p, size int) journal.Batch {
	changes := []journal.Change{{Key: []byte("last"), Value: []byte(label(p, r.indexes[p]+1))}}
	for n := 1 + r.random.IntN(3); n > 0; n-- {
		key := fmt.Appendf(nil, "k%d", r.random.IntN(9))
		if r.random.IntN(5) == 0 {
			changes = append(changes, journal.Change{Key: key, Delete: true})
			continue
		}
		value := make([]byte, size/2+r.random.IntN(size/2+1))
		for i := range value {
			value[i] = byte('A' + r.random.IntN(50))
		}
		changes = append(changes, journal.Change{Key: key, Value: bytes.ReplaceAll(value, []byte("<"), []byte("-"))})
		size /= 2
	}
	return journal.Batch{Changes: changes}
}

func (r *run) try(p int, b journal.Batch) {
	stands := maps.Clone(r.stands[p])
	for _, c := range b.Changes {
		if c.Delete {
			delete(stands, string(c.Key))
		} else {
			stands[string(c.Key)] = string(c.Value)
		}
	}
	index := r.indexes[p] + 1
	r.recorder.Mark(tried{p, index, sumOf(stands)})
	_, err := r.journals[p].Append(context.Background(), b)
	if r.full && errors.Is(err, journal.ErrRejected) {
		r.rejected++
		return
	}
	if !assert.NoError(r.t, err) {
		return
	}
	r.recorder.Mark(acked{p, index})
	r.stands[p], r.indexes[p] = stands, index
}

// refused appends what the journal does not take.
func (r *run) refused(p int) {
	b := r.batch(p, 100)
	b.Changes = append(b.Changes, journal.Change{Key: make([]byte, maxKey+1), Value: []byte("refused")})
	_, err := r.journals[p].Append(r.t.Context(), b)
	require.ErrorIs(r.t, err, journal.ErrRejected)
}

// round lets one partition write a frame, and the others share the next one.
func (r *run) round(size int) {
	var all sync.WaitGroup
	start := func(p int) {
		b := r.batch(p, size)
		all.Go(func() { r.try(p, b) })
		synctest.Wait()
	}
	gate, held := make(chan struct{}), atomic.Bool{}
	r.holding(func(c files.Change) error {
		if c.Op == files.Written && bytes.HasPrefix(c.Data, []byte("loop")) && held.CompareAndSwap(false, true) {
			<-gate
		}
		return nil
	})
	for p := range crashParts {
		start(p)
	}
	close(gate)
	all.Wait()
	r.holding(nil)
	r.rest()
}

func (r *run) compact() {
	require.NoError(r.t, r.journals[0].Compact(r.t.Context(), nil))
	r.rest()
}

// beside does something while the pages are written anew.
func (r *run) beside(do func()) {
	gate, begun := make(chan struct{}), false
	r.holding(func(c files.Change) error {
		if c.Op == files.Created && strings.HasSuffix(c.Path, pagesName+pages.Suffix) {
			begun = true
			<-gate
		}
		return nil
	})
	var compaction sync.WaitGroup
	compaction.Go(func() { assert.NoError(r.t, r.journals[0].Compact(r.t.Context(), nil)) })
	r.rest()
	require.True(r.t, begun, "the pages are not written anew")
	do()
	close(gate)
	compaction.Wait()
	r.holding(nil)
}

// outOfRoom does something while there is no room for another segment, and expects that
// appends are rejected.
func (r *run) outOfRoom(do func()) {
	r.full = true
	r.holding(func(c files.Change) error {
		if c.Op == files.Resized && strings.HasPrefix(filepath.Base(c.File.Name()), "log-") {
			return syscall.ENOSPC
		}
		return nil
	})
	do()
	r.rest()
	r.holding(nil)
	r.full = false
	require.NotZero(r.t, r.rejected)
}

// carry carries a file of version 1, which has the first partition.
func (r *run) carry() {
	const file = "testdata/journal-v1"
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		r.t.Skip("the file is in the byte order of other machines")
	}
	stands := map[string]string{}
	from, err := pages.Open(r.t.Context(), file, nil, 0)
	require.NoError(r.t, err)
	pending, err := from.Pending()
	require.NoError(r.t, err)
	head, err := from.Emit(r.t.Context(), partName(0), pending, func(c journal.Change) error {
		stands[string(c.Key)] = string(c.Value)
		return nil
	})
	require.NoError(r.t, errors.Join(err, from.Close()))
	require.NotZero(r.t, head.Index)
	r.recorder.Mark(carrying{0, int(head.Index), sumOf(stands)})
	require.NoError(r.t, Carry(r.t.Context(), file, r.path, r.opts))
	r.recorder.Mark(carried{})
	r.history = nil
}
