package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
)

// verify is the subcommand.
func verify(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	partition := partitionFlag(flags, "without\nit all are checked")
	name, err := parseFile(flags, args, verifyHelp, "", stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	all, err := readFile(ctx, name, *partition, math.MaxInt)
	if err != nil {
		return refuse(ctx, stderr, "verify", name, err)
	}
	tables := make([]string, len(all))
	for i, h := range all {
		tables[i] = h.verified()
	}
	if _, err := io.WriteString(stdout, strings.Join(tables, "\n")); err != nil {
		term.Say(stderr, "loopstore verify: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// listedNotes is how many runtimes a note names.
const listedNotes = 10

// verified says what was checked of a file that is whole.
func (h *holding) verified() string {
	var t strings.Builder
	documents, notes := h.documents()
	first := verifiedRow{"lines", h.parts, "each is as it was written, none is missing"}
	fmt.Fprintf(&t, "%s, ", term.Size(h.bytes))
	if h.partition != nil {
		first = verifiedRow{"records", h.parts, "each is as it was written, none is missing, in pages that are whole"}
		fmt.Fprintf(&t, "partition %s, ", term.Printable(strconv.Quote(*h.partition)))
	}
	fmt.Fprintf(&t, "revision %d\n\n", h.state.Revision())
	const row = "%-14s %12s  %s\n"
	fmt.Fprintf(&t, row, "verified", "count", "what was checked")
	held := h.state.Totals()
	for _, r := range []verifiedRow{
		first,
		{"runtimes", int64(held.Runtimes), "versions and counts"},
		{"input states", int64(held.InputStates), "values, and that none is there twice"},
		{"runs", int64(held.Runs), "sequences ascend to the highest"},
		{"receipts", int64(held.Receipts), "values, and the latest of each runtime"},
		{"snapshots", int64(held.Snapshots), "bytes"},
		{"documents", documents, "digest and number of messages, computed again"},
		{"sessions", int64(held.Sessions), "each filed under its own id, by a runtime that exists"},
	} {
		fmt.Fprintf(&t, row, r.name, term.Grouped(r.count), r.means)
	}
	if len(notes) > 0 {
		fmt.Fprintf(&t, "note: the latest receipt is not of the conversation that is held, in %s:\n", term.Counted(int64(len(notes)), "runtime"))
		for _, id := range notes[:min(len(notes), listedNotes)] {
			fmt.Fprintf(&t, "  %s\n", id)
		}
	}
	t.WriteString("\nok\n")
	return t.String()
}

// A verifiedRow says how many things of a kind there are, and what was checked.
type verifiedRow struct {
	name  string
	count int64
	means string
}

// documents counts the snapshots that are session documents, and names the runtimes
// whose latest receipt is of another conversation.
func (h *holding) documents() (count int64, others []string) {
	for view := range h.state.Image().Views() {
		snapshot, _ := view.Snapshot()
		d := snapshot.Document()
		if d == nil {
			continue
		}
		count++
		receipt, ok := view.LatestReceipt()
		if digest := receipt.ConversationDigest; ok && digest != nil && (*digest != d.HexDigest() || receipt.MessageCount != d.MessageCount()) {
			others = append(others, term.Named(string(view.RuntimeID()), 80))
		}
	}
	return count, others
}
