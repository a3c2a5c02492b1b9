package crew

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/loopstore/loopstore/cmd/internal/term"
)

// A Report is what happened to the members and servers, and so to the calls. It is a part
// of the JSON of "loopstore-servers demo --json", which its help describes.
type Report struct {
	Members       int           `json:"members"`
	Servers       int           `json:"servers"`
	Partitions    int           `json:"partitions"`
	Killed        string        `json:"killed"`          // the member, empty if there was no time for it
	LeaderStopped string        `json:"leader_stopped"`  // the server, empty if there was no time for it
	FirstCommit   time.Duration `json:"first_commit_ns"` // from the kill to the first commit in a partition that was taken over; 0 if there was none
	Again         int64         `json:"calls_again"`     // calls that were made more than once
	Unknown       UnknownReport `json:"outcome_unknown"`
	Standings     []Standing    `json:"standings"` // who served what
}

// An UnknownReport says what came of the calls whose outcome was unknown.
type UnknownReport struct {
	Calls    int64 `json:"calls"`
	Stored   int64 `json:"stored"`   // commits whose receipt was there
	Absent   int64 `json:"absent"`   // commits whose receipt was not there: they were made again
	Repeated int64 `json:"repeated"` // other writes, which were made again
}

// errNoTakeover fails a run in which the cluster had nothing to show.
var errNoTakeover = errors.New("no take-over was seen: give it time with a longer --duration or more --turns")

// String describes the cluster in a line.
func (c *Report) String() string {
	return fmt.Sprintf("cluster: %s of %s, kept by %d NATS servers", term.Counted(int64(c.Members), "member"),
		term.Counted(int64(c.Partitions), "partition"), c.Servers)
}

// Table says what happened to the cluster.
func (c *Report) Table() string {
	var t strings.Builder
	const row = "%-24s %-7s %-10s %8s %5s  %s\n"
	fmt.Fprintf(&t, "\n"+row, "who serves what", "member", "address", "claimed", "open", "partitions")
	for _, s := range c.Standings {
		s.write(&t, row)
	}
	if c.Killed != "" && c.FirstCommit > 0 {
		fmt.Fprintf(&t, "taken over: %s from the kill of %s to the first commit in a partition that it had served\n", term.Brief(c.FirstCommit), c.Killed)
	}
	if c.LeaderStopped != "" {
		fmt.Fprintf(&t, "stopped: server %s, which led the log of one of these partitions\n", c.LeaderStopped)
	} else {
		t.WriteString("stopped: no server, there was no time for it\n")
	}
	fmt.Fprintf(&t, "made again: %s, since nothing had been applied or the outcome was unknown\n", term.Counted(c.Again, "call"))
	u := c.Unknown
	fmt.Fprintf(&t, "unknown: %s: %s found stored, %s found absent and made again; %s made again, which changes nothing\n",
		term.Counted(u.Calls, "outcome"), term.Counted(u.Stored, "commit"), term.Grouped(u.Absent), term.Counted(u.Repeated, "other write"))
	return t.String()
}
