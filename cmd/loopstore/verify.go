package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/loopstore/loopstore/store"
)

// verify is the subcommand.
func verify(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name, err := parseFile(flag.NewFlagSet("verify", flag.ContinueOnError), args, verifyHelp, "", stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	state, in, err := readArchive(ctx, name)
	if err != nil {
		return refuse(stderr, "verify", name, err)
	}
	if _, err := io.WriteString(stdout, verified(state, in)); err != nil {
		say(stderr, "loopstore verify: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// verified tells what was checked of a file that is right.
func verified(state *store.State, in *source) string {
	var t strings.Builder
	image, held := state.Image(), state.Totals()
	documents, notes := 0, []string{}
	for view := range image.Views() {
		snapshot, _ := view.Snapshot()
		d := snapshot.Document()
		if d == nil {
			continue
		}
		documents++
		receipt, ok := view.LatestReceipt()
		if digest := receipt.ConversationDigest; ok && digest != nil && (*digest != d.HexDigest() || receipt.MessageCount != d.MessageCount()) {
			notes = append(notes, named(string(view.RuntimeID()), 80))
		}
	}
	fmt.Fprintf(&t, "%s, revision %d\n\n", size(in.bytes), image.Revision())
	const row = "%-14s %12s  %s\n"
	fmt.Fprintf(&t, row, "verified", "count", "what of them")
	for _, c := range []struct {
		name  string
		count int64
		means string
	}{
		{"lines", in.lines, "each is as it was written, none is missing"},
		{"runtimes", int64(held.Runtimes), "versions, and what each one counts"},
		{"input states", int64(held.InputStates), "values, none twice"},
		{"runs", int64(held.Runs), "sequences ascend, up to the highest"},
		{"receipts", int64(held.Receipts), "values, the latest of each runtime"},
		{"snapshots", int64(held.Snapshots), "bytes"},
		{"documents", int64(documents), "of these, whose digest and number of messages were computed anew"},
		{"sessions", int64(held.Sessions), "filed by a runtime that is there, under their own ids"},
	} {
		fmt.Fprintf(&t, row, c.name, grouped(c.count), c.means)
	}
	if len(notes) > 0 {
		fmt.Fprintf(&t, "note: the latest receipt is not of the conversation that is held, in %s:\n", counted(int64(len(notes)), "runtime"))
		for _, id := range notes[:min(len(notes), listedFailures)] {
			fmt.Fprintf(&t, "  %s\n", id)
		}
	}
	t.WriteString("\nok\n")
	return t.String()
}
