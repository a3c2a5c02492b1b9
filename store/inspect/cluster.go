package inspect

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/cluster"
)

// A Member is a member of a cluster: a *cluster.Node.
type Member interface {
	Status() cluster.Status
	Local(partition int) (*loopstore.Loop, bool)
}

var _ Member = (*cluster.Node)(nil)

// ClusterHandler returns a handler that serves the pages of a cluster, as one member sees
// it: the cluster itself, at / and /cluster, and under /partitions/ those of each
// partition that the member holds at that moment, as Handler serves them. Its links are
// relative, too. Each partition has a History of its own, instead of Options.History.
//
// The members do not ask each other: see Options.Members.
func ClusterHandler(member Member, opts Options) http.Handler {
	opts.History = nil
	c := &crew{member: member, opts: opts, open: make(map[int]*handler)}
	c.handler = newHandler(nil, opts)
	c.place, c.other = place{Up: "./"}, c.serve
	return c
}

// A crew is the handler of a cluster. Its own pages are those of the cluster itself.
type crew struct {
	*handler
	member Member
	opts   Options

	mu   sync.Mutex
	open map[int]*handler // of the partitions that were looked at
}

// A place is where a handler's pages are in a cluster.
type place struct {
	Partition string // its number; empty if the pages are of the cluster, or of a store by itself
	Up        string // leads to the cluster; empty if there is none
	Stats     bool   // there are statistics
	Still     bool   // the store tells of no changes
}

func (c *crew) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.forget()
	if number, path, ok := partitionIn(r.URL.Path); ok && path != "" {
		if h := c.partition(number); h != nil {
			within := *r // as http.StripPrefix does, but however the path is encoded
			within.URL = new(*r.URL)
			within.URL.Path, within.URL.RawPath = path, ""
			h.ServeHTTP(w, &within)
			return
		}
	}
	c.handler.ServeHTTP(w, r)
}

// partitionIn returns the number of the partition in a path, and what follows it.
func partitionIn(path string) (number int, rest string, ok bool) {
	text, ok := strings.CutPrefix(path, "/partitions/")
	digits, _, _ := strings.Cut(text, "/")
	number, err := strconv.Atoi(digits)
	return number, strings.TrimPrefix(text, digits), ok && err == nil
}

// forget lets go of the partitions that are no longer held, and of all that their loops
// hold.
func (c *crew) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.open, func(p int, h *handler) bool {
		loop, ok := c.member.Local(p)
		return !ok || h.source != Source(loop)
	})
}

// partition returns the pages of a partition; nil if it is not held here.
func (c *crew) partition(p int) *handler {
	c.mu.Lock()
	defer c.mu.Unlock()
	loop, ok := c.member.Local(p)
	if !ok {
		return nil
	}
	h := c.open[p]
	if h == nil || h.source != Source(loop) { // it may have moved since forget
		h = newHandler(loop, c.opts)
		h.streams, h.place = c.streams, place{Partition: strconv.Itoa(p), Up: "../../", Stats: true}
		c.open[p] = h
	}
	return h
}

// serve serves what is no partition that is held here.
func (c *crew) serve(w http.ResponseWriter, r *http.Request) error {
	switch pathOf(r) {
	case "/", "/cluster":
		p, err := c.page(r)
		if err == nil {
			write(w, r, http.StatusOK, p)
		}
		return err
	case "/events":
		return c.stream(w, r, func(ctx context.Context) (string, error) {
			err := wait(ctx, interval)
			return strconv.FormatInt(time.Now().UnixMilli(), 10), err
		})
	}
	up := "./"
	if n := strings.Count(r.URL.Path, "/"); n > 1 {
		up = strings.Repeat("../", n-1)
	}
	number, path, ok := partitionIn(r.URL.Path)
	status := c.member.Status()
	if !ok || number < 0 || number >= len(status.Partitions) {
		p := elsewhere{&problem{http.StatusNotFound, "No such page", "There is nothing at this address."}, ""}
		write(w, r, p.status, page{Template: "elsewhere", Title: p.title, Place: place{Up: up}, Body: p})
		return nil
	}
	if path == "" {
		w.Header().Set("Location", strconv.Itoa(number)+"/")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return nil
	}
	p := elsewhere{&problem{http.StatusNotFound, "Not held here", "This member does not hold the partition now, and does not know who does."}, ""}
	if holder := status.Partitions[number].Holder; holder != (cluster.Member{}) && holder != status.Self {
		p.Text, p.Link = "The partition is claimed by "+cut(60, name(holder.Name))+".", c.link(holder, number)
	}
	write(w, r, p.status, page{Template: "elsewhere", Title: p.title, Place: place{Partition: strconv.Itoa(number), Up: up}, Body: p})
	return nil
}

// An elsewhere is the problem of a page that is not here.
type elsewhere struct {
	*problem
	Link string // to where it may be, empty if that is not known
}

// link returns where a partition is shown by its holder; empty if that is not known.
func (c *crew) link(holder cluster.Member, partition int) string {
	at := c.at(holder)
	if at == "" {
		return ""
	}
	return at + "partitions/" + strconv.Itoa(partition) + "/"
}

// at returns where a member shows its pages, with a slash at the end.
func (c *crew) at(m cluster.Member) string {
	if c.opts.Members == nil {
		return ""
	}
	if at := c.opts.Members(m); at != "" {
		return strings.TrimSuffix(at, "/") + "/"
	}
	return ""
}
