package inspect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/cluster"
)

const (
	leaf      = 100 // partitions on a page, and members
	fewSilent = 20  // members that are said to be silent
)

// A clusterBoard is a cluster as one member sees it.
type clusterBoard struct {
	verdict
	Cluster    string        `json:"cluster"`
	Self       string        `json:"self"`
	Address    string        `json:"address,omitempty"`
	Now        moment        `json:"now"`
	Lease      time.Duration `json:"lease_ns"`
	Beats      bool          `json:"-"` // there is a directory
	Lapsed     bool          `json:"lapsed"`
	Beat, Dead time.Duration `json:"-"` // how often a member beats, and after what silence it is taken for dead
	Total      int           `json:"partitions_total"`
	Open       int           `json:"open"` // here
	Joined     int           `json:"members_total"`
	Members    []member      `json:"members"` // the first ones
	Gone       []gone        `json:"gone"`    // the last one first
	Rows       []held        `json:"partitions"`
	Holder     string        `json:"-"` // that the rows are of; empty for all
	Turn       turn          `json:"-"`
	Next       string        `json:"next,omitempty"` // the parameter from of the next page
}

type member struct {
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	Link    string `json:"-"`
	Self    bool   `json:"self,omitempty"`
	Claimed int    `json:"partitions"`
	Share   string `json:"-"` // of all partitions
	Beat    moment `json:"last_beat,omitzero"`
	Silent  bool   `json:"silent"`
}

type gone struct {
	Name       string        `json:"name"`
	Address    string        `json:"address,omitempty"`
	Seen       moment        `json:"seen"`
	Partitions int           `json:"partitions"`
	Silent     time.Duration `json:"silent_ns"`
	Died       bool          `json:"died"`
}

// A held partition is one row. What its loop says is known where it is open.
type held struct {
	Partition  int           `json:"partition"`
	State      cluster.State `json:"-"`
	Name       string        `json:"state"`
	Holder     string        `json:"holder,omitempty"`
	Link       string        `json:"-"`
	Since      moment        `json:"since"`
	Before     string        `json:"before,omitempty"`
	Moves      int           `json:"moves"`
	Error      string        `json:"error,omitempty"`
	Here       bool          `json:"here"`
	Runtimes   int           `json:"runtimes,omitempty"`
	HeldBytes  int64         `json:"held_bytes,omitempty"`
	Appended   uint64        `json:"appended_bytes,omitempty"` // since it was opened
	Saturation float64       `json:"saturation,omitempty"`
}

// A moment is a time that goes by.
type moment struct {
	store.Time
	Ago string
}

// MarshalJSON writes the time alone.
func (m moment) MarshalJSON() ([]byte, error) { return json.Marshal(m.Time) }

func momentOf(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	return moment{store.TimeOf(t), goneBy(now.Sub(t))}
}

func (b *clusterBoard) JSON() any { return b }

func (c *crew) page(r *http.Request) (page, error) {
	s, now, query := c.member.Status(), time.Now(), r.URL.Query()
	from := 0
	if text := query.Get("from"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return page{}, unreadable("from")
		}
		from = n
	}
	b := &clusterBoard{
		Cluster: s.Cluster, Self: s.Self.Name, Address: s.Self.Address, Now: momentOf(now, now), Lease: s.Lease, Lapsed: s.Lapsed, Beat: s.Lease / 6, Dead: s.Lease * 3 / 2,
		Total: len(s.Partitions), Joined: len(s.Members), Holder: query.Get("holder"), Members: []member{}, Gone: []gone{}, Rows: []held{},
	}
	claimed := make(map[cluster.Member]int)
	for _, p := range s.Partitions {
		claimed[p.Holder]++
		if p.State == cluster.Open {
			b.Open++
		}
	}
	for _, m := range s.Members {
		b.Beats = b.Beats || !m.Beat.IsZero()
		b.Members = append(b.Members, member{
			Name: m.Name, Address: m.Address, Link: c.at(m.Member), Self: m.Member == s.Self, Claimed: claimed[m.Member],
			Share: fmt.Sprintf("%.1f%%", 100*float64(claimed[m.Member])/float64(max(1, b.Total))),
			Beat:  momentOf(m.Beat, now), Silent: !m.Beat.IsZero() && now.Sub(m.Beat) > s.Lease/2,
		})
	}
	for _, d := range slices.Backward(s.Gone) {
		b.Gone = append(b.Gone, gone{d.Name, d.Address, momentOf(d.Seen, now), d.Partitions, d.Silent, d.Died(s.Lease)})
	}
	for p, status := range s.Partitions[min(from, len(s.Partitions)):] {
		if b.Holder != "" && status.Holder.Name != b.Holder {
			continue
		}
		if len(b.Rows) == leaf {
			b.Next = strconv.Itoa(from + p)
			break
		}
		b.Rows = append(b.Rows, c.row(from+p, status, now))
	}
	b.Turn = turn{from == 0, b.Next != "", link("cluster", "holder", b.Holder), link("cluster", "holder", b.Holder, "from", b.Next)}
	b.judge(&s, now)
	b.Members = b.Members[:min(len(b.Members), leaf)]
	return page{Template: "cluster", Title: "Cluster " + cut(60, name(s.Cluster)), Events: "events", Place: c.place, Body: b}, nil
}

func (c *crew) row(number int, p cluster.PartitionStatus, now time.Time) held {
	row := held{
		Partition: number, State: p.State, Name: p.State.String(), Holder: p.Holder.Name, Since: momentOf(p.Since, now),
		Before: p.Before.Name, Moves: p.Moves,
	}
	if p.Err != nil {
		row.Error = cut(300, p.Err.Error())
	}
	if loop, ok := c.member.Local(number); ok {
		s := loop.Stats()
		row.Here, row.Link = true, "partitions/"+strconv.Itoa(number)+"/"
		row.Runtimes, row.HeldBytes, row.Saturation = s.Held.Runtimes, s.Held.Bytes(), s.Saturation
		if s.Journal != nil {
			row.Appended = s.Journal.Bytes
		}
	} else if p.State == cluster.Elsewhere {
		row.Link = c.link(p.Holder, number)
	}
	return row
}

// judge says whether all is well, as far as this member knows.
func (b *clusterBoard) judge(s *cluster.Status, now time.Time) {
	in, why := make(map[cluster.State][]int), ""
	for p, status := range s.Partitions {
		in[status.State] = append(in[status.State], p)
		if status.Err != nil && why == "" {
			why = fmt.Sprintf(" Partition %d: %s.", p, strings.TrimSuffix(cut(300, status.Err.Error()), "."))
		}
	}
	if s.Lapsed {
		b.wrong("This member serves nothing: it has not beaten for too long. What it shows of the others is old.")
	}
	if s.Directory != nil {
		b.wrong("The directory cannot be used: %s.", strings.TrimSuffix(cut(300, s.Directory.Error()), "."))
	}
	silent := 0
	for _, m := range b.Members {
		if !m.Silent || m.Self {
			continue
		}
		if silent++; silent <= fewSilent {
			b.wrong("%s has not been seen to beat for %s. After %s the others take over what it has claimed: %s.",
				cut(60, name(m.Name)), m.Beat.Ago, brief(b.Dead), plural(m.Claimed, "partition", "partitions"))
		}
	}
	if more := silent - fewSilent; more > 0 {
		b.wrong("%s not been seen to beat either.", plural(more, "other member has", "other members have"))
	}
	for _, state := range []struct {
		of        cluster.State
		text, why string
	}{
		{cluster.Unclaimed, "claimed by nobody", ""}, {cluster.Waiting, "not served: this member could not open them, and tries again", why},
		{cluster.Opening, "being opened here", ""}, {cluster.Closing, "being given up here", ""},
	} {
		if of := in[state.of]; len(of) > 0 {
			b.wrong("%s %s: %s.%s", plural(len(of), "partition is", "partitions are"), state.text, numbers(of), state.why)
		}
	}
	if len(b.Problems) > 0 {
		return
	}
	b.Well = fmt.Sprintf("All is well, as far as %s sees. Each of the %s is claimed by one of %s, and the %s of this member are open.",
		cut(60, name(b.Self)), plural(b.Total, "partition", "partitions"), plural(len(b.Members), "member", "members"), grouped(b.Open))
	if d := len(b.Gone); d > 0 && b.Gone[0].Died && now.Sub(s.Gone[d-1].Seen) < window {
		b.Well += fmt.Sprintf(" %s was taken for dead %s ago, and its %s taken over.", cut(60, name(b.Gone[0].Name)), b.Gone[0].Seen.Ago,
			plural(b.Gone[0].Partitions, "partition was", "partitions were"))
	}
}

// numbers lists the first of some partitions.
func numbers(of []int) string {
	text, more := fmt.Sprint(of[:min(12, len(of))]), ""
	if n := len(of) - 12; n > 0 {
		more = " and " + grouped(n) + " more"
	}
	return strings.ReplaceAll(strings.Trim(text, "[]"), " ", ", ") + more
}
