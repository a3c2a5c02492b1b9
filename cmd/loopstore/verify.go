package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

func verifyCommand() *cobra.Command {
	var partition partitionFlag
	cmd := &cobra.Command{
		Use: "verify PATH", Short: "check an exported file or a journal: every record, value, sequence and digest",
		Long: verifyHelp, Args: cli.Exactly(1, "one path"),
		RunE: func(cmd *cobra.Command, names []string) error {
			name := names[0]
			all, err := readFile(cmd, name, partition.name, math.MaxInt)
			if err != nil {
				return about(name, err)
			}
			tables := make([]string, len(all))
			for i, h := range all {
				texts, err := h.readTexts(cmd.Context())
				if err != nil {
					return about(name, err)
				}
				tables[i] = h.verified(texts)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), strings.Join(tables, "\n"))
			return err
		},
	}
	partition.add(cmd, "without\nit all are checked")
	return cmd
}

// listedNotes is how many runtimes a note names.
const listedNotes = 10

// verified says what was checked of a file that is whole.
func (h *holding) verified(texts readTexts) string {
	var t strings.Builder
	notes := h.otherConversations()
	first := verifiedRow{"lines", h.parts, "each is as it was written, none is missing"}
	fmt.Fprintf(&t, "%s, ", term.Size(h.bytes))
	if h.partition != nil {
		first = verifiedRow{"records", h.parts, "each is as it was written, none is missing, in a log and pages that are whole"}
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
		{"versions", int64(held.Versions), "earlier ones, whose numbers ascend"},
		{"documents", texts.documents, "digest and number of messages, computed again from " + term.Counted(texts.read, "text")},
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

// readTexts says what was read again.
type readTexts struct {
	documents int64 // snapshots that have a format
	read      int64 // different ones among them
}

// readTexts computes the digests of all versions of all sessions again, and of what is
// filed. Those that have one text share it, so it is read once.
func (h *holding) readTexts(ctx context.Context) (texts readTexts, err error) {
	type text struct {
		root  *session.Part
		facts session.Facts
	}
	known := make(map[text]bool)
	var checker session.Checker
	check := func(snapshot store.Snapshot) bool {
		d := snapshot.Document()
		if d == nil {
			return true
		}
		texts.documents++
		if text := (text{d.Text().Root(), d.Facts()}); !known[text] {
			known[text] = true
			texts.read++
			return checker.Verify(d)
		}
		return true
	}
	image := h.state.Image()
	for view := range image.Views() {
		for v := range view.Sessions() {
			if ctx.Err() != nil {
				return texts, ctx.Err()
			}
			if !check(v.Snapshot) {
				return texts, h.damaged("runtime %s, version %d of its session", term.Named(string(view.RuntimeID()), 80), v.Number)
			}
		}
	}
	for id, filed := range image.Sessions() {
		if !check(filed.Snapshot) {
			return texts, h.damaged("session %s, as it is filed", id)
		}
	}
	return texts, nil
}

// damaged says which text is not what is known of it.
func (h *holding) damaged(format string, args ...any) error {
	where := fmt.Sprintf(format, args...)
	if h.partition != nil {
		where = fmt.Sprintf("partition %q: %s", *h.partition, where)
	}
	return fmt.Errorf("%s: its digest or number of messages is not that of its text", where)
}

// otherConversations names the runtimes whose latest receipt is of another conversation.
func (h *holding) otherConversations() (others []string) {
	for view := range h.state.Image().Views() {
		snapshot, _ := view.Snapshot()
		d := snapshot.Document()
		if d == nil {
			continue
		}
		receipt, ok := view.LatestReceipt()
		if digest := receipt.ConversationDigest; ok && digest != nil && (*digest != d.HexDigest() || receipt.MessageCount != d.MessageCount()) {
			others = append(others, term.Named(string(view.RuntimeID()), 80))
		}
	}
	return others
}
