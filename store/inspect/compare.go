package inspect

import (
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

const (
	maxLines = 400 // of a message that are compared
	around   = 2   // lines around a change that are shown
)

// same returns how many messages two conversations begin with alike. Parts that their texts
// share are not looked at.
func (t *talk) same(other *talk) (n int) {
	if t.lines != other.lines {
		return 0
	}
	alike := t.from + alike(t.snapshot, t.from, other.snapshot, other.from)
	for s := range t.messages() {
		if s.to >= alike { // what ends it is alike, too
			break
		}
		n++
	}
	return min(n, t.Count, other.Count)
}

// alike returns how many bytes two texts have alike, from places on.
func alike(a store.Snapshot, atA int, b store.Snapshot, atB int) (n int) {
	nextA, stopA := iter.Pull(after(a, atA))
	defer stopA()
	nextB, stopB := iter.Pull(after(b, atB))
	defer stopB()
	var partA, partB string
	for okA, okB := true, true; ; {
		if partA == "" {
			partA, okA = nextA()
		}
		if partB == "" {
			partB, okB = nextB()
		}
		if !okA || !okB {
			return n
		}
		both := min(len(partA), len(partB))
		if partA[:both] != partB[:both] {
			return n + prefix(partA, partB)
		}
		n += both
		partA, partB = partA[both:], partB[both:]
	}
}

// after returns the parts of a text after a place.
func after(s store.Snapshot, place int) iter.Seq[string] {
	return func(yield func(string) bool) {
		at := 0
		for part := range s.Parts() {
			if skip := max(place-at, 0); skip < len(part) && !yield(part[skip:]) {
				return
			}
			at += len(part)
		}
	}
}

func prefix(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// common returns how a list becomes another, with as many texts kept as can be.
func common(a, b []string) (steps []step) {
	ids := make(map[string]int32)
	number := func(texts []string) []int32 {
		all := make([]int32, len(texts))
		for i, text := range texts {
			id, ok := ids[text]
			if !ok {
				id = int32(len(ids))
				ids[text] = id
			}
			all[i] = id
		}
		return all
	}
	x, y := number(a), number(b)
	start := 0
	for start < len(x) && start < len(y) && x[start] == y[start] {
		start++
	}
	endX, endY := len(x), len(y)
	for endX > start && endY > start && x[endX-1] == y[endY-1] {
		endX, endY = endX-1, endY-1
	}
	for i := range start {
		steps = append(steps, step{i, i})
	}
	// longest[i][j] is how many of x[i:] and y[j:] can be kept.
	wide := endY - start + 1
	longest := make([]int32, (endX-start+1)*wide)
	for i := endX - start - 1; i >= 0; i-- {
		for j := wide - 2; j >= 0; j-- {
			if x[start+i] == y[start+j] {
				longest[i*wide+j] = longest[(i+1)*wide+j+1] + 1
			} else {
				longest[i*wide+j] = max(longest[(i+1)*wide+j], longest[i*wide+j+1])
			}
		}
	}
	for i, j := 0, 0; i < endX-start || j < endY-start; {
		switch {
		case i < endX-start && j < endY-start && x[start+i] == y[start+j]:
			steps = append(steps, step{start + i, start + j})
			i, j = i+1, j+1
		case j == endY-start || i < endX-start && longest[(i+1)*wide+j] >= longest[i*wide+j+1]:
			steps = append(steps, step{start + i, -1})
			i++
		default:
			steps = append(steps, step{-1, start + j})
			j++
		}
	}
	for i := range len(x) - endX {
		steps = append(steps, step{endX + i, endY + i})
	}
	return steps
}

// A textLine is one of a message that changed.
type textLine struct {
	Kind   string `json:"kind"` // same, added, removed, or fold, which stands for Same lines
	Head   string `json:"head,omitempty"`
	Middle string `json:"middle,omitempty"` // what differs from the line that it stands with
	Tail   string `json:"tail,omitempty"`
	Same   int    `json:"same,omitempty"`
}

// lines returns what a message says, line by line.
func (m *message) lines() (all []string) {
	all = append(all, strings.TrimSpace(m.Role+" "+m.Name))
	for _, p := range m.Parts {
		head := p.Kind
		switch {
		case p.Kind == partText:
			head = ""
		case p.Kind == partData:
			head = "data " + p.Name + ", " + size(p.Bytes)
		case p.Name+p.ID != "":
			head += " " + strings.TrimSpace(p.Name+" "+p.ID)
		}
		if p.Failed {
			head += ", failed"
		}
		if head != "" {
			all = append(all, "["+head+"]")
		}
		all = append(all, strings.Split(p.Text, "\n")...)
	}
	return all
}

// lineByLine compares two messages. unseen means that they look alike.
func lineByLine(a, b []string) (lines []textLine, unseen bool) {
	unseen = true
	steps := common(a[:min(len(a), maxLines)], b[:min(len(b), maxLines)])
	for i := 0; i < len(steps); {
		from := i
		if s := steps[i]; s.old >= 0 && s.new >= 0 {
			for i < len(steps) && steps[i].old >= 0 && steps[i].new >= 0 {
				i++
			}
			lines = fold(lines, a[s.old:s.old+i-from], from == 0, i == len(steps))
			continue
		}
		unseen = false
		var gone, come []textLine
		for ; i < len(steps) && (steps[i].old < 0 || steps[i].new < 0); i++ {
			if s := steps[i]; s.old >= 0 {
				gone = append(gone, textLine{Kind: "removed", Head: a[s.old]})
			} else {
				come = append(come, textLine{Kind: "added", Head: b[s.new]})
			}
		}
		for n := range min(len(gone), len(come)) {
			tellApart(&gone[n], &come[n])
		}
		lines = append(append(lines, gone...), come...)
	}
	return lines, unseen
}

// fold appends lines that are the same: those around a change, and the others as one.
func fold(lines []textLine, same []string, first, last bool) []textLine {
	head, tail := around, around
	if first {
		head = 0
	}
	if last {
		tail = 0
	}
	if len(same) <= head+tail+1 {
		head, tail = len(same), 0
	}
	for _, text := range same[:head] {
		lines = append(lines, textLine{Kind: "same", Head: text})
	}
	if n := len(same) - head - tail; n > 0 {
		lines = append(lines, textLine{Kind: "fold", Same: n})
	}
	for _, text := range same[len(same)-tail:] {
		lines = append(lines, textLine{Kind: "same", Head: text})
	}
	return lines
}

// tellApart takes two lines apart, one of which came in the place of the other, if enough of them
// is alike.
func tellApart(a, b *textLine) {
	head := prefix(a.Head, b.Head)
	for head > 0 && head < len(a.Head) && !utf8.RuneStart(a.Head[head]) {
		head--
	}
	x, y := a.Head[head:], b.Head[head:]
	tail := 0
	for tail < len(x) && tail < len(y) && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	for tail > 0 && !utf8.RuneStart(x[len(x)-tail]) {
		tail--
	}
	if 2*(head+tail) < min(len(a.Head), len(b.Head)) {
		return
	}
	for _, l := range []*textLine{a, b} {
		text := l.Head
		l.Head, l.Middle, l.Tail = text[:head], text[head:len(text)-tail], text[len(text)-tail:]
	}
}

// A receiptPart is what a list shows of receipts.
type receiptPart struct {
	RuntimeID store.RuntimeID
	Items     []store.RunBoundaryReceipt
	view      *state.View
	numbers   map[edge]uint64 // of the versions that were committed at boundaries
}

type edge struct {
	run      store.RunID
	sequence uint64
}

func receiptPartOf(view *state.View, items []store.RunBoundaryReceipt) receiptPart {
	p := receiptPart{view.RuntimeID(), items, view, make(map[edge]uint64)}
	for v := range view.Sessions() {
		if v.Committed {
			p.numbers[edge{v.RunID, v.Sequence}] = v.Number
		}
	}
	return p
}

// Change returns the address of what changed at a boundary, empty if that is not kept.
func (p receiptPart) Change(r store.RunBoundaryReceipt) string {
	number := p.numbers[edge{r.RunID, r.Sequence}]
	return changes(p.view, number, number)
}

// changes returns the address of what changed from before the first of these versions to
// the last one, empty if that is not kept.
func changes(view *state.View, first, last uint64) string {
	if first == 0 {
		return ""
	}
	if _, kept := view.SessionAt(first - 1); !kept && first > 1 {
		return ""
	}
	return link("diff", "id", view.RuntimeID(), "from", first-1, "to", last)
}

// changedIn returns the address of what the receipts of a run changed together, empty if that
// is not kept.
func changedIn(view *state.View, run store.RunID) string {
	var first, last uint64
	for v := range view.Sessions() {
		if v.Committed && v.RunID == run {
			last = v.Number
			if first == 0 {
				first = last
			}
		}
	}
	return changes(view, first, last)
}
