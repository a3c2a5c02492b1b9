package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/inspect"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

const (
	lease   = 15 * time.Second
	hostile = `b<script>alert(1)</script>`
)

// A team is the members of a cluster in this process.
type team struct {
	testing.TB
	engine    journal.Engine
	directory cluster.Directory
	lease     time.Duration
}

func newTeam(t testing.TB) *team {
	return &team{t, journaltest.NewEngine(), cluster.NewDirectory(), lease}
}

func (c *team) join(name string) *cluster.Node {
	c.Helper()
	node, err := cluster.Join(context.WithoutCancel(c.Context()), cluster.Options{
		Cluster: "agents <b>", Partitions: 6, Self: cluster.Member{Name: name, Address: name + ":4000"}, Engine: c.engine, Directory: c.directory, Lease: c.lease,
	})
	require.NoError(c, err)
	c.Cleanup(func() { _ = node.Close() })
	return node
}

// A known member has the status that a test says, and no loops.
type known cluster.Status

func (k known) Status() cluster.Status          { return cluster.Status(k) }
func (known) Local(int) (*loopstore.Loop, bool) { return nil, false }

// in returns a runtime of a partition.
func in(partition, of int) store.RuntimeID {
	for i := 0; ; i++ {
		if id := store.RuntimeID(fmt.Sprint("agent-", i)); cluster.PartitionOf(id, of) == partition {
			return id
		}
	}
}

// Any member shows who holds what, what it has seen of the others, and the pages of the
// partitions that it holds itself.
func TestClusterIsShownByAnyMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTeam(t)
		a, b := c.join("a"), c.join(hostile)
		time.Sleep(5 * lease)
		members := func(m cluster.Member) string {
			if m.Name == "a" {
				return "http://" + m.Address + "/loopstore"
			}
			return ""
		}
		ha, hb := inspect.ClusterHandler(a, inspect.Options{}), inspect.ClusterHandler(b, inspect.Options{Members: members})
		mine := 0
		for ; ; mine++ {
			if _, ok := a.Local(mine); ok {
				break
			}
		}
		id := in(mine, 6)
		require.NoError(t, a.Router(nil).PersistRuntimeState(t.Context(), id, store.RuntimeIdle))

		for _, target := range []string{"/", "/cluster"} {
			w := get(t, ha, target)
			body := w.Body.String()
			require.Equal(t, http.StatusOK, w.Code)
			require.Contains(t, body, "All is well, as far as a sees. Each of the 6 partitions is claimed by one of 2 members, and the 3 of this member are open.")
			require.Contains(t, body, "Cluster agents &lt;b&gt;")
			require.Contains(t, body, "b&lt;script&gt;alert(1)&lt;/script&gt;")
			require.NotContains(t, body, "<script>alert")
			require.Equal(t, 3, strings.Count(body, "known to its holder"))
			require.Contains(t, body, fmt.Sprintf(`<a href="partitions/%d/">%d</a>`, mine, mine))
			require.Contains(t, body, `data-events="events"`)
		}
		require.Contains(t, get(t, hb, "/").Body.String(), fmt.Sprintf(`<a href="http://a:4000/loopstore/partitions/%d/">%d</a>`, mine, mine), "where it is shown")

		at := fmt.Sprintf("/partitions/%d", mine)
		w := get(t, ha, at)
		require.Equal(t, http.StatusTemporaryRedirect, w.Code)
		require.Equal(t, fmt.Sprintf("%d/", mine), w.Header().Get("Location"))
		body := get(t, ha, at+"/").Body.String()
		require.Contains(t, body, string(id))
		require.Contains(t, body, fmt.Sprintf(`<span class="place">Partition %d</span>`, mine))
		require.Contains(t, body, `<a href="../../">Cluster</a>`)
		require.Contains(t, get(t, ha, at+"/runtime?id="+string(id)).Body.String(), "idle")
		require.Equal(t, http.StatusOK, get(t, ha, at+"/stats").Code)

		for _, encoded := range []string{fmt.Sprintf("/partitions/%%3%d/", mine), fmt.Sprintf("/%%70artitions/%d/stats", mine), fmt.Sprintf("/partitions/%%3%d/runtime%%73.json", mine)} {
			require.Equal(t, http.StatusOK, get(t, ha, encoded).Code, encoded)
			require.Equal(t, http.StatusNotFound, get(t, hb, encoded).Code, encoded)
		}
		require.Equal(t, "application/json", get(t, ha, fmt.Sprintf("/partitions/%%3%d/nowhere.json", mine)).Header().Get("Content-Type"))
		w = get(t, hb, at+"/stats")
		require.Equal(t, http.StatusNotFound, w.Code)
		require.Contains(t, w.Body.String(), "The partition is claimed by a.")
		require.Contains(t, w.Body.String(), fmt.Sprintf(`<a href="http://a:4000/loopstore/partitions/%d/">Look there</a>`, mine))
		require.Contains(t, w.Body.String(), `<a href="../../">Cluster</a>`)
		for target, up := range map[string]string{
			"/partitions/6/": "../../", "/partitions/6/runtime?id=a": "../../", "/partitions/-1/": "../../", "/partitions/x/": "../../", "/partitions/": "../",
			"/nowhere": "./", "/runtime?id=" + string(id): "./",
		} {
			w := get(t, ha, target)
			require.Equal(t, http.StatusNotFound, w.Code, target)
			require.Contains(t, w.Body.String(), `<a href="`+up+`" aria-current="page">Cluster</a>`, target)
			require.NotContains(t, w.Body.String(), "All runtimes", "a cluster has no list of them")
		}
		require.Equal(t, http.StatusBadRequest, get(t, ha, "/?from=x").Code)

		_, page := getJSON(t, ha, "/cluster")
		rows := page["partitions"].([]any)
		require.Len(t, rows, 6)
		row := rows[mine].(map[string]any)
		require.Equal(t, "open", row["state"])
		require.Equal(t, "a", row["holder"])
		require.EqualValues(t, 1, row["runtimes"])
		require.Positive(t, row["held_bytes"])
		require.Positive(t, row["appended_bytes"])
		require.NotContains(t, rows[(mine+3)%6], "runtimes")

		require.NoError(t, b.Close())
		time.Sleep(lease)
		body = get(t, ha, "/").Body.String()
		require.Contains(t, body, "it has left")
		require.Contains(t, body, "and the 6 of this member are open")
		require.NoError(t, a.Close())
		require.Equal(t, http.StatusNotFound, get(t, ha, at+"/stats").Code, "it holds nothing any more")
	})
}

// A partition that moved and came back is shown by its new loop.
func TestPartitionThatCameBackIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTeam(t)
		a := c.join("a")
		h := inspect.ClusterHandler(a, inspect.Options{})
		time.Sleep(lease)
		first, _ := a.Local(5)
		require.Equal(t, http.StatusOK, get(t, h, "/partitions/5/").Code)
		b := c.join("b")
		time.Sleep(5 * lease)
		_, held := a.Local(5)
		require.False(t, held)
		require.Equal(t, http.StatusOK, get(t, h, "/").Code)
		require.Zero(t, inspect.Visited(h), "nothing of a loop that was given up is kept")
		require.NoError(t, b.Close())
		time.Sleep(lease)
		second, ok := a.Local(5)
		require.True(t, ok)
		require.NotSame(t, first, second)
		require.Equal(t, http.StatusOK, get(t, h, "/partitions/5/").Code)
	})
}

// The pages of actions stand where the others of a partition do.
func TestActionsOfAPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTeam(t).join("a")
		time.Sleep(lease)
		id := in(2, 6)
		require.NoError(t, a.Router(nil).PersistRuntimeState(t.Context(), id, store.RuntimeIdle))
		o := &operator{t: t, host: here, h: inspect.ClusterHandler(a, inspect.Options{Actions: &inspect.Actions{}})}
		target := "/partitions/2/delete?id=" + string(id)
		stands := func(body string) {
			t.Helper()
			require.Contains(t, body, `<a href="../../">Cluster</a>`)
			require.Contains(t, body, `<span class="place">Partition 2</span>`)
		}
		stands(o.send(http.MethodGet, target, nil).Body.String())
		stands(o.send(http.MethodPost, target, nil).Body.String())
		to, form := o.ask(target)
		w := o.send(http.MethodPost, "/partitions/2"+to, form)
		require.Equal(t, http.StatusSeeOther, w.Code)
		stands(o.send(http.MethodGet, "/partitions/2/"+strings.TrimPrefix(w.Header().Get("Location"), "./"), nil).Body.String())

	})
}

func TestClusterIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := inspect.ClusterHandler(newTeam(t).join("a"), inspect.Options{Streams: 1})
		c := follow(t, h, "/events")
		require.Equal(t, "retry: 2000\nevent: begin\ndata\n\n", c.took())
		time.Sleep(5 * time.Second)
		require.Contains(t, c.took(), "event: version\n")
		require.Equal(t, http.StatusServiceUnavailable, get(t, h, "/partitions/0/stats/events").Code, "the partitions' streams are counted, too")
	})
}

// troubled returns the status of a cluster in which much is wrong.
func troubled(now time.Time) known {
	a, b := cluster.Member{Name: "a", Address: "a:1"}, cluster.Member{Name: hostile, Address: strings.Repeat("long-address", 30)}
	s := known{
		Cluster: "agents", Lease: lease, Self: a, Members: []cluster.MemberStatus{{Member: a, Beat: now}, {Member: b, Beat: now.Add(-10 * time.Second)}},
		Gone:      []cluster.Departure{{Member: b, Seen: now.Add(-time.Minute), Partitions: 3, Silent: 20 * time.Second}},
		Directory: context.DeadlineExceeded, Lapsed: true,
	}
	for p := range cluster.MaxPartitions {
		s.Partitions = append(s.Partitions, cluster.PartitionStatus{
			State: cluster.State(p % 6), Holder: []cluster.Member{{}, b, a, a, a, a}[p%6], Since: now.Add(-time.Hour), Before: b, Moves: p,
		})
		if p%6 == int(cluster.Waiting) {
			s.Partitions[p].Err = fmt.Errorf("%w: <b>", journal.ErrCorrupt)
		}
	}
	return s
}

func TestClusterSaysWhatIsWrong(t *testing.T) {
	h := inspect.ClusterHandler(troubled(time.Now()), inspect.Options{})
	w := get(t, h, "/")
	body := w.Body.String()
	for _, want := range []string{
		"This member serves nothing", "The directory cannot be used: context deadline exceeded.",
		"has not been seen to beat for 10 s. After 22.5s the others take over what it has claimed: 683 partitions.",
		"683 partitions are claimed by nobody: 0, 6, 12, 18, 24, 30, 36, 42, 48, 54, 60, 66 and 671 more.", "682 partitions are not served: this member could not open them",
		" Partition 5: " + journal.ErrCorrupt.Error() + ": &lt;b&gt;.",
		"683 partitions are being opened here", "682 partitions are being given up here", "taken for dead</span>, silent for 20s",
		"&lt;b&gt;", `href="cluster?from=100"`,
	} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, body, "<b>")
	require.NotContains(t, body, "All is well")
	require.Less(t, len(body), 300_000)
	require.Equal(t, 100, strings.Count(body, `data-label="Partition"`))
	require.Equal(t, 96, strings.Count(get(t, h, "/?from=4000").Body.String(), `data-label="Partition"`))
	_, page := getJSON(t, h, "/cluster")
	require.Len(t, page["partitions"], 100)
	require.Equal(t, "100", page["next"])
	_, page = getJSON(t, h, "/cluster?holder=a&from=4000")
	require.Len(t, page["partitions"], 64)
	require.Contains(t, get(t, h, "/?from=9999").Body.String(), "There are none here.")

	well := troubled(time.Now())
	well.Lapsed, well.Directory, well.Members = false, nil, well.Members[:1]
	well.Partitions = []cluster.PartitionStatus{{State: cluster.Open, Holder: well.Self}}
	require.Contains(t, get(t, inspect.ClusterHandler(well, inspect.Options{}), "/").Body.String(), "was taken for dead 1 min ago, and its 3 partitions were taken over.")
	well.Members[0].Beat = time.Time{}
	require.Contains(t, get(t, inspect.ClusterHandler(well, inspect.Options{}), "/").Body.String(), "The partitions are assigned for ever")
}

// The page of a cluster has a measure, whatever the cluster and its errors have.
func TestClusterPageIsBounded(t *testing.T) {
	s := known{Cluster: "agents", Lease: lease}
	for n := range 1000 {
		m := cluster.Member{Name: fmt.Sprint("member <", n)}
		s.Members = append(s.Members, cluster.MemberStatus{Member: m, Beat: time.Now().Add(-time.Hour)})
		s.Partitions = append(s.Partitions, cluster.PartitionStatus{Holder: m, Err: errors.New(strings.Repeat("é", 5000))})
	}
	s.Self = s.Members[0].Member
	h := inspect.ClusterHandler(s, inspect.Options{})
	body := get(t, h, "/").Body.String()
	require.Less(t, len(body), most)
	require.Contains(t, body, `Members <span class="count">1,000</span>`)
	require.Contains(t, body, "The first 100 are listed.")
	require.Equal(t, 100, strings.Count(body, `data-label="Address"`))
	require.Equal(t, 20, strings.Count(body, "has not been seen to beat"))
	require.Contains(t, body, "979 other members have not been seen to beat either.")
	require.Equal(t, 100, strings.Count(body, ">"+strings.Repeat("é", 300)+"…<"))
	require.Less(t, get(t, h, "/cluster.json").Body.Len(), most)
	_, shown := getJSON(t, h, "/cluster")
	require.EqualValues(t, 1000, shown["members_total"])
	require.Len(t, shown["members"], 100)
	require.Equal(t, strings.Repeat("é", 300)+"…", shown["partitions"].([]any)[0].(map[string]any)["error"])
}

func BenchmarkClusterPage(b *testing.B) {
	h := inspect.ClusterHandler(troubled(time.Now()), inspect.Options{})
	for b.Loop() {
		if w := get(b, h, "/"); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
