package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store"
)

func (c inventory) table() string {
	var t strings.Builder
	// The columns of the pages, in 80 characters. A name that is longer has a line of its own.
	const row, room = "%-20s %-12s %6s %8s %7s %5s %8s %7s\n", 20
	fmt.Fprintf(&t, row, "runtime", "state", "active", "open for", "inputs", "open", "receipts", "size")
	var all store.Totals
	now := time.Now()
	latest := slices.Clone(c.Runtimes)
	slices.SortStableFunc(latest, func(a, b summary) int { return b.Active.Time().Compare(a.Active.Time()) })
	for _, s := range latest {
		name := term.Named(string(s.RuntimeID), maxNamed)
		if utf8.RuneCountInString(name) > room {
			t.WriteString(name + "\n")
			name = ""
		}
		since := "-"
		if s.open > 0 {
			since = ago(now, s.since)
		}
		fmt.Fprintf(&t, row, name, orDash(s.RuntimeState), ago(now, s.Active), since, term.Grouped(int64(s.InputStates)),
			term.Grouped(int64(s.open)), term.Grouped(int64(s.Receipts)), short(s.Bytes))
		all.InputStates += s.InputStates
		all.Receipts += s.Receipts
	}
	t.WriteByte('\n')
	if c.Partition != nil {
		fmt.Fprintf(&t, "partition %s, ", term.Printable(strconv.Quote(*c.Partition)))
	}
	fmt.Fprintf(&t, "revision %d: %s with %s and %s, %s filed by id\n", c.Revision, term.Counted(int64(len(c.Runtimes)), "runtime"),
		term.Counted(int64(all.InputStates), "input"), term.Counted(int64(all.Receipts), "receipt"), term.Counted(int64(len(c.Sessions)), "session"))
	for _, d := range c.Deleted {
		fmt.Fprintf(&t, "deleted: %s at revision %d\n", term.Printable(strconv.Quote(string(d.RuntimeID))), d.Revision)
	}
	return t.String()
}

// maxNamed is how much of a name the table shows.
const maxNamed = 80

// ago says how long ago something was, in one unit.
func ago(now time.Time, then store.Time) string {
	if then.IsZero() {
		return "-"
	}
	gone := max(0, now.Sub(then.Time()))
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if gone >= unit.of {
			return fmt.Sprint(int64(gone/unit.of), " ", unit.name)
		}
	}
	return fmt.Sprint(int64(gone/time.Second), " s")
}

// short writes a number of bytes in few characters.
func short(n int64) string {
	for _, unit := range []struct {
		of   int64
		name string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if n >= unit.of {
			return fmt.Sprint(n/unit.of, " ", unit.name)
		}
	}
	return fmt.Sprint(n, " B")
}

func orDash[S ~string](text S) string {
	if text == "" {
		return "-"
	}
	return string(text)
}

func (d *details) table() string {
	var t strings.Builder
	fmt.Fprintf(&t, "runtime %s: version %d, state %s, about %s\n", term.Printable(strconv.Quote(string(d.RuntimeID))), d.Version, orDash(d.RuntimeState), term.Counted(d.Bytes, "byte"))
	if d.Origin != nil {
		fmt.Fprintf(&t, "forked from version %d of runtime %s\n", d.Origin.Number, term.Printable(strconv.Quote(string(d.Origin.RuntimeID))))
	}
	if !d.Active.IsZero() {
		fmt.Fprintf(&t, "made %s, written to %s\n", d.Made, d.Active)
	}
	for _, key := range slices.Sorted(maps.Keys(d.Labels)) {
		fmt.Fprintf(&t, "label %s: %s\n", term.Printable(strconv.Quote(key)), term.Printable(strconv.Quote(d.Labels[key])))
	}
	if d.Keys > 0 {
		fmt.Fprintf(&t, "%s kept without an input\n", term.Counted(int64(d.Keys), "idempotency key"))
	}
	d.tableOfSnapshot(&t)
	d.tableOfInputs(&t)
	fmt.Fprintf(&t, "\n%s, %s\n", term.Counted(int64(d.Runs), "run"), term.Counted(int64(d.Receipts), "receipt"))
	for _, r := range d.RunDetails {
		fmt.Fprintf(&t, "  %s, highest sequence %d\n", r.RunID, r.HighestSequence)
		for i := range r.Receipts {
			receipt := &r.Receipts[i]
			digest := "-"
			if text := receipt.ConversationDigest; text != nil {
				digest = term.Named(*text, 64)
			}
			fmt.Fprintf(&t, "    %-6d %-14s %9s %9s  %s\n", receipt.Sequence, receipt.Boundary,
				term.Counted(int64(len(receipt.ContributingInputIDs)), "input"), term.Counted(int64(receipt.MessageCount), "message"), digest)
		}
	}
	for _, r := range d.DroppedRuns {
		fmt.Fprintf(&t, "  %s, highest sequence %d, all receipts gone\n", r.RunID, r.HighestSequence)
	}
	for _, s := range d.Sessions {
		fmt.Fprintf(&t, "filed as session %s: %s\n", s.SessionID, term.Counted(int64(s.Bytes), "byte"))
	}
	return t.String()
}

func (d *details) tableOfSnapshot(t *strings.Builder) {
	s := d.Snapshot
	switch {
	case s == nil:
		t.WriteString("no snapshot\n")
		return
	case s.Digest == nil:
		fmt.Fprintf(t, "snapshot: version %d, %s, stored as it came\n", s.Number, term.Counted(int64(s.Bytes), "byte"))
	default:
		fmt.Fprintf(t, "snapshot: version %d, format %s, %s, %s, digest %s\n", s.Number, s.Format, term.Counted(int64(s.Bytes), "byte"),
			counted(*s.Messages, "message"), *s.Digest)
	}
	if d.payloads {
		fmt.Fprintf(t, "  %s\n", term.Printable(string(s.Base64)))
	}
	if len(d.Past) < 2 {
		return
	}
	fmt.Fprintf(t, "\n%s of the session\n", term.Counted(int64(len(d.Past)), "version"))
	for _, v := range d.Past {
		digest, by := "-", "-"
		if v.Digest != nil {
			digest = *v.Digest
		}
		if v.RunID != nil {
			by = fmt.Sprintf("%s %d", v.RunID, *v.Sequence)
		}
		fmt.Fprintf(t, "  %-6d %-7s %12s  %s\n         by %s\n", v.Number, v.Format, term.Grouped(int64(v.Bytes)), digest, by)
	}
}

// counted is term.Counted of any number, also one that a caller made up.
func counted(n uint64, thing string) string {
	if n <= math.MaxInt64 {
		return term.Counted(int64(n), thing)
	}
	return strconv.FormatUint(n, 10) + " " + thing + "s"
}

// tableOfInputs groups the inputs by state, in the order in which states first occur.
func (d *details) tableOfInputs(t *strings.Builder) {
	fmt.Fprintf(t, "\n%s, %s\n", term.Counted(int64(d.InputStates), "input"), strconv.Itoa(d.Ended)+" ended")
	var order []store.InputLifecycleState
	groups := make(map[store.InputLifecycleState][]store.InputState)
	for _, input := range d.Inputs {
		if groups[input.CurrentState] == nil {
			order = append(order, input.CurrentState)
		}
		groups[input.CurrentState] = append(groups[input.CurrentState], input)
	}
	for _, state := range order {
		fmt.Fprintf(t, "  %s: %s\n", state, term.Grouped(int64(len(groups[state]))))
		for _, input := range groups[state] {
			fmt.Fprintf(t, "    %s  created %s  updated %s\n", input.InputID, input.CreatedAt, input.UpdatedAt)
			if d.payloads && input.PersistedInput != nil {
				fmt.Fprintf(t, "      %s\n", term.Printable(string(input.PersistedInput)))
			}
		}
	}
}
