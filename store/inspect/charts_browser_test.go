//go:build unix

package inspect_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/inspect"
)

// aDay returns ten minutes of a store that has something to do, the last of them as the
// loop says now: a gap, a new start, and a rush at the end if trouble is asked for.
func aDay(trouble bool) (all []*loopstore.Stats) {
	r, s := rand.New(rand.NewPCG(1, 2)), loopstore.Stats{Serving: true, InboxSize: 1024, InboxHighest: 31, Journal: &loopstore.JournalStats{Partition: "p0", Epoch: 3}}
	done := map[ops.Kind]float64{ops.KindCommitSessionBoundary: 40, ops.KindPersistInputState: 120, ops.KindLoadRuntimeState: 300, ops.KindClaimNext: 35, ops.KindLoadView: 3}
	counts := map[ops.Kind]*loopstore.Operations{}
	for kind := range done {
		counts[kind] = new(loopstore.Operations)
	}
	s.Uptime = time.Hour
	for i := range 120 {
		rush := 1 + 0.4*math.Sin(float64(i)/9) + 0.2*r.Float64()
		if trouble && i > 95 {
			rush *= float64(i-90) / 5
		}
		s.Uptime += 5 * time.Second
		if i == 70 {
			s.Uptime = 5 * time.Second
			s.Held.InputBytes /= 2
		}
		s.Saturation = min(1, 0.06*rush)
		s.WaitP50, s.WaitP99 = 1<<10, time.Duration(1<<(12+r.IntN(3)))
		s.InboxLength, s.Waiting = r.IntN(int(4*rush)), 0
		if trouble && i > 110 {
			s.WaitP99, s.InboxLength, s.Waiting = 1<<27, 1024, i-100
		}
		s.Held.InputBytes += int64(90_000 * rush)
		s.Operations = map[ops.Kind]loopstore.Operations{}
		j := *s.Journal
		for kind, rate := range done {
			counts[kind].Done += uint64(5 * rate * rush)
			if trouble && i > 105 && r.IntN(3) == 0 {
				counts[kind].Errors += uint64(r.IntN(9))
			}
			s.Operations[kind] = *counts[kind]
		}
		n := uint64(5 * 60 * rush)
		j.Appends, j.Changes, j.Bytes, j.Index, j.Took = j.Appends+n, j.Changes+3*n, j.Bytes+n*700, j.Index+n, j.Took+time.Duration(float64(n)*rush*3e5)
		s.Journal = &j
		if now := s; i < 30 || i > 42 {
			all = append(all, &now)
		} else {
			all = append(all, nil)
		}
	}
	return all
}

// A board that is full, in good days and in bad ones, fits each window and can be read.
func TestBrowserShowsCharts(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	for _, trouble := range []bool{false, true} {
		all := aDay(trouble)
		g := &gauged{stats: *all[len(all)-1]}
		server := listen(t, inspect.Handler(g, inspect.Options{History: inspect.Sampled(all)}))
		b.visit(server.URL + "/stats")
		b.until(isLive)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{320, 1200} {
				b.look(width, scheme)
				b.readable(fmt.Sprintf("charts-%v-%s-%d", trouble, scheme, width), width)
			}
		}
		var drawn []float64 // the widths and heights of what is drawn, in pixels
		b.eval(`[...document.querySelectorAll('.plane .curve')].filter(c => c.getAttribute('d')).map(c => c.getBoundingClientRect()).flatMap(r => [r.width])`, &drawn)
		require.Len(t, drawn, 12)
		for _, width := range drawn[:2] {
			require.Greater(t, width, 200.0, "a curve goes over its whole plane")
		}
	}
	b.noFaults()
}

// A cluster that is well, and one with everything that can be wrong, likewise.
func TestBrowserShowsCluster(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	c := newTeam(t)
	c.lease = time.Second
	nodes := []*cluster.Node{c.join("host-a"), c.join("host-b"), c.join("host-c")}
	require.Eventually(t, func() bool {
		for _, node := range nodes {
			open := 0
			for _, p := range node.Status().Partitions {
				if p.State == cluster.Open {
					open++
				}
			}
			if open != 2 {
				return false
			}
		}
		return true
	}, time.Minute, 20*time.Millisecond)
	sometime := troubled(time.Now())
	for name, member := range map[string]inspect.Member{"well": nodes[0], "trouble": sometime} {
		h := inspect.ClusterHandler(member, inspect.Options{Members: func(m cluster.Member) string { return "http://" + m.Name + ".example.com/" }})
		server := listen(t, http.StripPrefix("/under", h))
		b.scripts(false)
		b.visit(server.URL + "/under/")
		b.scripts(true)
		b.visit(server.URL + "/under/")
		b.until(isLive)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{320, 1200} {
				b.look(width, scheme)
				b.readable(fmt.Sprintf("cluster-%s-%s-%d", name, scheme, width), width)
			}
		}
		if name == "trouble" {
			continue
		}
		var done bool
		b.eval(`document.querySelector('.partitions a[href^="partitions/"]').click(), true`, &done)
		b.until(`document.querySelector('.place')?.innerText.startsWith('Partition ')`)
		b.look(320, "light")
		b.readable("partition-light-320", 320)
		b.eval(`document.querySelector('header nav a').click(), true`, &done)
		b.until(`document.querySelector('h1')?.innerText.startsWith('Cluster')`)
	}
	b.noFaults()
}
