package archive

import (
	"bufio"
	"bytes"
	"io"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// Write writes all that an image holds to w. It takes memory for the largest
// line and, if there are sessions, a little for each runtime. Its error is w's, or
// a *store.ValueError's for a value that is not valid; no operation stores one.
func Write(w io.Writer, image *state.Image) error {
	out := &writer{out: bufio.NewWriterSize(w, bufferSize), sealer: newSealer(), sessions: image.Totals().Sessions > 0}
	if err := out.image(image); err != nil {
		return err
	}
	return out.out.Flush()
}

const bufferSize = 64 << 10

type writer struct {
	out      *bufio.Writer
	sealer   *sealer
	lines    uint64
	buf      bytes.Buffer
	sessions bool                                // whether there are filed snapshots
	own      map[store.RuntimeID]*store.Snapshot // the runtimes' own, if there are
}

func (w *writer) image(image *state.Image) error {
	if err := w.line(headerOf(image.Revision(), image.Totals())); err != nil {
		return err
	}
	for view := range image.Views() {
		if err := w.runtime(view); err != nil {
			return err
		}
	}
	for id, f := range image.Sessions() {
		if err := w.line(sessionOf(id, f, w.own[f.By])); err != nil {
			return err
		}
	}
	return w.line(end{Lines: w.lines + 1, SHA256: w.sealer.digest()})
}

func (w *writer) runtime(view *state.View) error {
	held := view.Summary()
	l := runtime{
		RuntimeID: held.RuntimeID, Version: held.Version, RuntimeState: held.RuntimeState,
		Snapshots: uint64(held.Held.Snapshots), InputStates: uint64(held.Held.InputStates), Runs: uint64(held.Held.Runs),
		DroppedRuns: uint64(view.NumDroppedRuns()),
	}
	if r, ok := held.LatestReceipt(); ok {
		l.LatestReceipt = &boundary{r.RunID, r.Sequence}
	}
	if err := w.line(l); err != nil {
		return err
	}
	if s, ok := view.Snapshot(); ok {
		if err := w.snapshot(held.RuntimeID, s); err != nil {
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
	return nil
}

func (w *writer) snapshot(id store.RuntimeID, s store.Snapshot) error {
	if w.sessions {
		if w.own == nil {
			w.own = make(map[store.RuntimeID]*store.Snapshot)
		}
		w.own[id] = &s
	}
	return w.line(snapshotOf(s))
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
