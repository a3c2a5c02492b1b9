package lincheck

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// marks matches the mark of a write in a value.
var marks = regexp.MustCompile(`mark-\d+(\.\d+)?`)

// markOf returns the mark of a value, or the end of a value without one, in quotes where
// it needs them.
func markOf(text string) string {
	if mark := marks.FindString(text); mark != "" {
		return mark
	}
	const room = 40
	if len(text) > room {
		text = "…" + text[len(text)-room:]
	}
	if quoted := strconv.Quote(text); text == "" || len(quoted) > len(text)+2 {
		return quoted
	}
	return text
}

// short returns the end of an id. Generated ids differ only there.
func short(id fmt.Stringer) string {
	text := id.String()
	return "…" + text[len(text)-2:]
}

func (in input) String() string {
	stamp := ""
	if in.run != "" {
		stamp = "@…" + in.run[len(in.run)-2:] + "/" + in.sequence
	}
	key := ""
	if in.key != "" && !marks.MatchString(in.key) {
		key = "/" + in.key
	}
	return short(in.id) + "=" + markOf(in.body) + key + stamp
}

func (r receipt) String() string {
	key := fmt.Sprintf("%s/%d", short(r.run), r.sequence)
	if mark := marks.FindString(r.digest); mark != "" {
		key += "=" + mark
	}
	return key
}

// String returns an input with its state and version.
func (in held) String() string {
	version := fmt.Sprintf(" v%d", in.version)
	switch {
	case in.guessed:
		version += "+"
	case in.version >= leapt:
		version = fmt.Sprintf(" leap+%d", in.version-leapt)
	}
	return in.input.String() + " " + string(in.state) + version
}

func describe(conditions []condition) (all []string) {
	for _, on := range conditions {
		all = append(all, fmt.Sprintf("if %T%+v", on.Condition, on.Condition))
	}
	return all
}

// String returns the call in one line.
func (c *call) String() string {
	parts := append([]string{string(c.runtime)}, describe(c.conditions)...)
	switch {
	case c.kind == ops.KindImport:
		parts = []string{c.export.String()}
	case c.kind == ops.KindClaimNext:
		parts = []string{fmt.Sprintf("from %v to %v", c.claim.From, c.claim.To)}
	case c.batch != nil:
		parts = append(parts, describe(c.batch.conditions)...)
		for _, w := range c.batch.writes {
			parts = append(parts, w.String())
		}
	case c.kind == ops.KindCommit:
		parts = append(parts, strings.TrimPrefix(fmt.Sprintf("%T", c.args), "store."))
		if c.input != (store.InputID{}) {
			parts = append(parts, short(c.input))
		}
		if _, ok := c.args.(batch.RestoreSession); ok {
			parts = append(parts, fmt.Sprintf("version %d", c.number))
		}
	case c.kind == ops.KindLoadSessionAt:
		parts = append(parts, fmt.Sprintf("version %d", c.number))
	case c.kind == ops.KindFork:
		parts = append(parts, fmt.Sprintf("version %d to %s", c.number, c.to))
	case c.by != byStore:
		parts = append(parts, [...]string{"", "shared reader", "own reader"}[c.by])
	case c.kind == ops.KindLoadSession:
		parts = append(parts, c.key.String())
	case c.kind == ops.KindLoadInput && c.named != "":
		parts = append(parts, c.named)
	case c.kind == ops.KindLoadInputState || c.kind == ops.KindLoadInput:
		parts = append(parts, short(c.input))
	case c.kind == ops.KindLoadBoundaryReceipt:
		parts = append(parts, fmt.Sprintf("%s/%d", short(c.receipt.run), c.receipt.sequence))
	case c.kind == ops.KindCommitSessionBoundary && c.flaw == nil:
		parts = append(parts, "run "+short(c.receipt.run))
	case c.kind == ops.KindAtomicApply && c.flaw == nil:
		parts = append(parts, c.receipt.String())
	}
	if c.session != nil {
		if c.appends {
			parts = append(parts, "append")
		}
		parts = append(parts, c.session.String())
		if c.key != (store.SessionID{}) {
			parts = append(parts, "filed under "+c.key.String())
		}
	}
	if c.status != "" {
		parts = append(parts, c.status)
	}
	for _, in := range c.inputs {
		parts = append(parts, in.String())
	}
	if c.flaw != nil {
		parts = append(parts, "flawed: "+c.flaw.Error())
	}
	return fmt.Sprintf("%v(%s)", c.kind, strings.Join(parts, ", "))
}

// String returns the answer in one line.
func (a *answer) String() string {
	var parts []string
	if a.refusal != nil {
		parts = append(parts, a.refusal.Error())
	}
	if a.found {
		parts = append(parts, "found")
	}
	if a.claimed != "" {
		parts = append(parts, "of "+string(a.claimed))
	}
	if a.waits {
		parts = append(parts, "nothing yet: it waits")
	}
	if a.text != "" {
		parts = append(parts, markOf(a.text))
	}
	if a.session != (session{}) {
		parts = append(parts, a.session.String())
	}
	if a.receipt != (receipt{}) {
		parts = append(parts, a.receipt.String())
	}
	if len(a.inputs) > 0 {
		parts = append(parts, fmt.Sprint(a.inputs))
	}
	if a.fence > 0 {
		parts = append(parts, fmt.Sprintf("version %d", a.fence))
	}
	if a.refusal == store.ErrKeyTaken {
		has := "had"
		if a.taken.there {
			has = "has"
		}
		parts = append(parts, fmt.Sprintf("that %v of %s %s", short(a.taken.input), a.taken.runtime, has))
	}
	if a.ofWrite {
		parts = append(parts, fmt.Sprintf("at write %d", a.at))
	}
	if a.refusal == store.ErrConflict {
		parts = append(parts, fmt.Sprintf("at condition %d, version %d", a.condition, a.version))
	}
	if a.revision > 0 {
		parts = append(parts, fmt.Sprintf("revision %d", a.revision))
	}
	for _, r := range a.receipts {
		parts = append(parts, r.String())
	}
	if a.view != nil {
		parts = append(parts, a.view.String())
	}
	for _, s := range a.list {
		parts = append(parts, s.String())
	}
	if a.nilList {
		parts = append(parts, "nil, not an empty list")
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, " ")
}

// String returns the state in one line.
func (s *model) String() string {
	past := ""
	if n := len(s.versions); n > 0 {
		past = fmt.Sprintf(" as version %d", s.versions[n-1].number)
		if n > 1 {
			past += fmt.Sprintf(" after %v", s.versions[:n-1])
		}
	}
	if s.origin != (state.Origin{}) {
		past += fmt.Sprintf(" from version %d of %s", s.origin.Number, s.origin.RuntimeID)
	}
	var runs []string
	for _, r := range s.runs {
		runs = append(runs, fmt.Sprintf("%s up to %d (%d)", short(r.id), r.receipts[len(r.receipts)-1].sequence, len(r.receipts)))
	}
	if len(s.used) > 0 {
		past += fmt.Sprintf(", keys kept %v", s.used)
	}
	if s.floor.there {
		past += fmt.Sprintf(", runs after %d", s.floor.sequence)
	}
	version := fmt.Sprint(s.version)
	if s.guessed {
		version += " or later"
	}
	return fmt.Sprintf("%q, %v%s, inputs %v, runs %v, version %s", s.status, s.session(), past, s.inputs, runs, version)
}

func (u usedKey) String() string { return markOf(u.key) + " of " + short(u.input) }

func (t tombstone) String() string {
	return fmt.Sprintf("%s was deleted, runs after %v, keys kept %v", t.id, t.floor, t.keys)
}

// String returns the state of each runtime.
func (w *world) String() string {
	if len(w.runtimes)+len(w.stones) == 0 {
		return nothing.String()
	}
	var all []string
	for _, t := range w.stones {
		all = append(all, t.String())
	}
	if len(w.line) > 0 {
		all = append(all, fmt.Sprintf("to be claimed: %v", w.line))
	}
	for _, id := range slices.Sorted(maps.Keys(w.runtimes)) {
		text := w.runtimes[id].String()
		if len(w.runtimes) > 1 {
			text = string(id) + ": " + text
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n\t")
}
