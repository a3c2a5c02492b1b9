package archive

import (
	"bufio"
	"bytes"
	"io"
	"iter"
	"slices"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// Write writes all that an image holds to w. It takes memory for the largest
// line and a little for each part of a text. Its error is w's, or a
// *store.ValueError's for a value that is not valid; no operation stores one.
func Write(w io.Writer, image *state.Image) error {
	out := &writer{out: bufio.NewWriterSize(w, bufferSize), sealer: newSealer(), numbers: make(map[*session.Part]uint64)}
	if err := out.image(image); err != nil {
		return err
	}
	return out.out.Flush()
}

const bufferSize = 64 << 10

type writer struct {
	out     *bufio.Writer
	sealer  *sealer
	lines   uint64
	buf     bytes.Buffer
	numbers map[*session.Part]uint64 // of the parts that have one
	fresh   []*session.Part          // parts that have just got theirs
}

func (w *writer) image(image *state.Image) error {
	if err := w.line(headerOf(image.Revision(), image.Totals(), image.NumParts())); err != nil {
		return err
	}
	for view := range image.Views() {
		if err := w.runtime(view); err != nil {
			return err
		}
	}
	for id, f := range image.Sessions() {
		if err := w.text(filedSession{id, f.By, w.contentOf(f.Snapshot)}); err != nil {
			return err
		}
	}
	for t := range image.Tombstones() {
		if err := w.tombstone(t); err != nil {
			return err
		}
	}
	return w.line(end{Lines: w.lines + 1, SHA256: w.sealer.digest()})
}

func (w *writer) tombstone(t state.Tombstone) error {
	if err := w.line(tombstone{t.RuntimeID, t.Revision, t.Deleted, t.HighestSequence, uint64(len(t.Keys))}); err != nil {
		return err
	}
	return w.keys(slices.Values(t.Keys))
}

func (w *writer) keys(keys iter.Seq[state.Key]) error {
	for k := range keys {
		if err := w.line(key(k)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) runtime(view *state.View) error {
	held := view.Summary()
	l := runtime{
		RuntimeID: held.RuntimeID, Version: held.Version, RuntimeState: held.RuntimeState,
		Versions: uint64(held.Held.Snapshots + held.Held.Versions), InputStates: uint64(held.Held.InputStates), Runs: uint64(held.Held.Runs),
		DroppedRuns: uint64(view.NumDroppedRuns()),
		Made:        held.Made, Active: held.Active, Labels: held.Labels, Keys: uint64(held.Held.Keys),
	}
	if after, ok := view.SequenceFloor(); ok {
		l.AfterSequence = &after
	}
	if from, ok := view.Origin(); ok {
		l.Origin = &from
	}
	if r, ok := held.LatestReceipt(); ok {
		l.LatestReceipt = &boundary{r.RunID, r.Sequence}
	}
	if err := w.line(l); err != nil {
		return err
	}
	for v := range view.Sessions() {
		if err := w.text(versionOf(v, w.contentOf(v.Snapshot))); err != nil {
			return err
		}
	}
	for state := range view.InputStates() {
		if err := w.line(inputStateOf(state)); err != nil {
			return err
		}
	}
	for r := range view.RunViews() {
		if err := w.run(r); err != nil {
			return err
		}
	}
	for id, highest := range view.DroppedRuns() {
		if err := w.line(droppedRun{id, highest}); err != nil {
			return err
		}
	}
	return w.keys(view.Keys())
}

// contentOf returns what a line says of a snapshot. Its new parts are to follow.
func (w *writer) contentOf(s store.Snapshot) content {
	w.number(s.Text().Root())
	c := content{Parts: uint64(len(w.fresh)), Format: s.Format(), Part: w.numbers[s.Text().Root()], Digest: s.Digest()}
	if s.Document() != nil {
		c.Messages = new(s.MessageCount())
	}
	return c
}

// number gives numbers to the parts of a text that have none.
func (w *writer) number(p *session.Part) {
	if p == nil || w.numbers[p] > 0 {
		return
	}
	for _, part := range p.Parts() {
		w.number(part)
	}
	w.fresh = append(w.fresh, p)
	w.numbers[p] = uint64(len(w.numbers)) + 1
}

// text writes a line with a text's content, and the parts that come with it.
func (w *writer) text(l line) error {
	if err := w.line(l); err != nil {
		return err
	}
	for _, p := range w.fresh {
		if err := w.line(w.partOf(p)); err != nil {
			return err
		}
	}
	clear(w.fresh)
	w.fresh = w.fresh[:0]
	return nil
}

func (w *writer) partOf(p *session.Part) part {
	l := part{Number: w.numbers[p]}
	if p.Parts() == nil {
		return l.with(p.Bytes())
	}
	for _, listed := range p.Parts() {
		l.Parts = append(l.Parts, w.numbers[listed])
	}
	return l
}

func (w *writer) run(r state.RunView) error {
	if err := w.line(run{r.RunID(), r.HighestSequence(), uint64(r.NumReceipts())}); err != nil {
		return err
	}
	for value := range r.Receipts() {
		if err := w.line(receipt{boundaryReceipt(value)}); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) line(l line) error {
	if err := encode(&w.buf, l); err != nil {
		return err
	}
	w.lines++
	_, _ = w.out.Write(w.buf.Bytes()) // a bufio.Writer keeps its error
	_, err := w.out.Write(w.sealer.seal(w.buf.Bytes()))
	return err
}
