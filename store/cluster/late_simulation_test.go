package cluster_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// chaos is a way to a directory whose writes may land late, and be given up before.
type chaos struct {
	cluster.Directory
	mu    sync.Mutex
	rand  *rand.Rand
	level atomic.Int64 // of 100
	down  atomic.Bool
	wg    sync.WaitGroup
}

func (d *chaos) draw() (bad bool, before, after time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.Int64N(100) < d.level.Load(), time.Duration(d.rand.Int64N(int64(lease / 4))), time.Duration(d.rand.Int64N(int64(lease / 4)))
}

func (d *chaos) Read(ctx context.Context) ([]byte, uint64, error) {
	if d.down.Load() {
		return nil, 0, errCut
	}
	time.Sleep(5 * time.Millisecond)
	return d.Directory.Read(ctx)
}

func (d *chaos) Write(ctx context.Context, doc []byte, revision uint64) (bool, error) {
	if d.down.Load() {
		return false, errCut
	}
	bad, before, after := d.draw()
	if !bad {
		time.Sleep(5 * time.Millisecond)
		return d.Directory.Write(ctx, doc, revision)
	}
	type result struct {
		ok  bool
		err error
	}
	done := make(chan result, 1)
	d.wg.Go(func() {
		time.Sleep(before)
		ok, err := d.Directory.Write(context.WithoutCancel(ctx), doc, revision)
		time.Sleep(after)
		done <- result{ok, err}
	})
	select {
	case r := <-done:
		return r.ok, r.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// However late a write of the directory lands, and whoever has given it up: no load shows
// less than what was acknowledged before it, and in the end each partition is served.
func TestLateWritesShowNoOldState(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		seed += 80
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 99))
			c := newCrew(t, 4)
			c.engine = journaltest.NewFaulty(c.memory)
			ways := map[string]*chaos{}
			var mu sync.Mutex
			var all []*chaos
			join := func(name string) {
				way := &chaos{Directory: c.directory, rand: rand.New(rand.NewPCG(r.Uint64(), 1))}
				opts, l := c.options(name)
				opts.Directory = way
				n, err := cluster.Join(context.WithoutCancel(t.Context()), opts)
				if err != nil {
					t.Log(err)
					return
				}
				mu.Lock()
				c.members[name], ways[name] = &hand{n, l}, way
				all = append(all, way)
				mu.Unlock()
			}
			names := []string{"a", "b", "c"}
			for _, n := range names {
				join(n)
			}
			time.Sleep(3 * lease)
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for i := range 4 {
				id := c.in(i)
				r := rand.New(rand.NewPCG(r.Uint64(), 2))
				wg.Go(func() {
					acked := 0
					for n := uint64(0); ctx.Err() == nil; n++ {
						mu.Lock()
						h := c.members[names[r.IntN(3)]]
						g := c.members[names[r.IntN(3)]]
						mu.Unlock()
						err := h.Router(nil).PersistInputState(ctx, id, input(n))
						if err == nil {
							acked++
						} else if !errors.Is(err, cluster.ErrNotHolder) && !errors.Is(err, context.Canceled) {
							t.Errorf("seed %d: %v", seed, err)
						}
						states, err := g.Router(nil).LoadInputStates(t.Context(), id)
						if err == nil && len(states) < acked {
							t.Errorf("seed %d: a load shows %d of %d acknowledged writes", seed, len(states), acked)
							return
						}
						time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
					}
				})
			}
			for range 20 {
				name := names[r.IntN(3)]
				mu.Lock()
				h, way := c.members[name], ways[name]
				mu.Unlock()
				switch r.IntN(6) {
				case 0, 1:
					way.down.Store(true)
				case 2:
					way.down.Store(false)
					way.level.Store(80)
				case 3:
					way.down.Store(false)
					way.level.Store(0)
				case 4, 5:
					_ = h.Close()
					time.Sleep(time.Duration(r.Int64N(int64(lease))))
					join(name)
				}
				time.Sleep(time.Duration(r.Int64N(int64(lease))))
			}
			for _, way := range all {
				way.down.Store(false)
				way.level.Store(0)
			}
			time.Sleep(6 * lease)
			stop()
			wg.Wait()
			for p := range 4 {
				var who []string
				for n, h := range c.members {
					if _, ok := h.Local(p); ok {
						who = append(who, n)
					}
				}
				assert.Len(t, who, 1, "seed %d: who serves partition %d", seed, p)
			}
			for _, h := range c.members {
				began := time.Now()
				_ = h.Close()
				assert.Less(t, time.Since(began), 2*lease)
			}
			clear(c.members)
			for _, way := range all {
				way.wg.Wait()
			}
		})
	}
}
