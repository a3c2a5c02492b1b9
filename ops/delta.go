package ops

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// ErrAgain is the error of an Apply that has changed nothing, because what it was to
// be appended to was replaced since it was prepared. Prepare and Apply are to be done
// again: Prepare goes on from what stood then.
var ErrAgain = errors.New("another commit came in between")

// A delta is a change of a session, on its way to a State.
type delta struct {
	runtime  store.RuntimeID
	given    store.SessionDelta
	snapshot *store.Snapshot

	// Of what is appended.
	more  session.Addition
	base  *store.Snapshot // that the snapshot goes on from, nil if from none
	stood *store.Snapshot // what stood in its place
	tries int
	own   bool // more is a copy, so the owner may append it
}

// An unset says what a delta without a format is.
type unset uint8

const (
	unsetMeerkat unset = iota // a session document, or an error
	unsetEither               // a session document, or any bytes
	unsetBytes
)

const (
	ownerTries = 3        // after so many the owner appends itself
	ownerBytes = 64 << 10 // up to so much
)

// prepare makes the snapshot. It goes on from what probably stands.
func (d *delta) prepare(standing Standing, unset unset) error {
	if err := d.valid(); err != nil {
		return store.InField("session", err)
	}
	g := &d.given
	text := unsafe.String(unsafe.SliceData(g.SessionSnapshot), len(g.SessionSnapshot)) // the parts are copies
	if g.Append {
		return d.prepareAppend(standing, text)
	}
	if ahead, ok := standing.(*ahead); ok && ahead.again && d.snapshot != nil { // it is right whatever stands
		return nil
	}
	format := g.Format
	if format == store.FormatUnset && unset != unsetBytes {
		format = store.FormatMeerkat
	}
	before := orEmpty(standing.Standing(d.runtime))
	snapshot, err := before.Replace(format, text, g.Messages)
	if err != nil && g.Format == store.FormatUnset && unset == unsetEither {
		snapshot, err = before.Replace(store.FormatUnset, text, 0)
	}
	switch {
	case err != nil && g.Format == store.FormatUnset:
		return fmt.Errorf("%w: read as %v, as no format was given: %w", store.ErrInvalidSnapshot, format, err)
	case err != nil:
		return fmt.Errorf("%w: %w", store.ErrInvalidSnapshot, err)
	}
	d.snapshot = &snapshot
	return nil
}

func (d *delta) valid() error {
	g := &d.given
	switch {
	case !g.Format.Valid():
		return &store.ValueError{Field: "format", Reason: "not one of the formats"}
	case g.Append && !g.Format.Grows():
		return &store.ValueError{Field: "append", Reason: "only for FormatLines and FormatOpaque"}
	case g.Messages != 0 && g.Format != store.FormatOpaque:
		return &store.ValueError{Field: "messages", Reason: "only for FormatOpaque"}
	}
	return nil
}

// prepareAppend makes the snapshot, from what stood at the last try. The first try
// goes on from what probably stands.
func (d *delta) prepareAppend(standing Standing, text string) (err error) {
	if d.own = d.tries == ownerTries && len(text) <= ownerBytes; d.own {
		text = strings.Clone(text) // the caller may go away while the owner reads it
	}
	if d.more, err = session.ReadAddition(d.given.Format, text, d.given.Messages); err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalidSnapshot, err)
	}
	base := d.stood
	ahead, batch := standing.(*ahead)
	if d.tries == 0 || batch && ahead.knows(d.runtime) {
		base = standing.Standing(d.runtime)
	}
	if base != nil && base.Format() != d.given.Format {
		base = nil // Apply looks whether it stands
	}
	if batch && ahead.again && d.snapshot != nil && d.base == base { // a later write of the batch may go on from it
		return nil
	}
	d.base = base
	d.goOn()
	return nil
}

// goOn appends to the base.
func (d *delta) goOn() {
	d.snapshot = new(orEmpty(d.base).Append(d.more))
}

// apply finds out whether the snapshot is what is to stand.
func (d *delta) apply(s *state.State) error {
	if !d.given.Append {
		return nil
	}
	d.stood = s.Snapshot(d.runtime)
	if d.stood != nil {
		if f := d.stood.Format(); f != d.given.Format {
			return &store.ValueError{Field: "session.format", Reason: fmt.Sprintf("%v cannot be appended to a session of format %v", d.given.Format, f)}
		}
		if n := len(d.given.SessionSnapshot); n > 0 { // else what is over the limit was so before
			if err := state.CheckCall(s.Limits, int64(d.stood.Len())+int64(n), 0); err != nil {
				return err
			}
		}
	}
	if d.base == d.stood {
		return nil
	}
	if !d.own || !orEmpty(d.stood).Document().Hashed() {
		d.tries = min(d.tries+1, ownerTries)
		return ErrAgain
	}
	d.base = d.stood
	d.goOn()
	return nil
}

func orEmpty(snapshot *store.Snapshot) store.Snapshot {
	if snapshot == nil {
		return store.Snapshot{}
	}
	return *snapshot
}

// ahead is what stands as the earlier writes of a batch will leave it.
type ahead struct {
	before Standing
	again  bool                                // the batch was prepared before
	left   map[store.RuntimeID]*store.Snapshot // nil until one is known
}

func (a *ahead) knows(id store.RuntimeID) bool { _, ok := a.left[id]; return ok }

// Standing implements [Standing].
func (a *ahead) Standing(id store.RuntimeID) *store.Snapshot {
	if snapshot, ok := a.left[id]; ok {
		return snapshot
	}
	return a.before.Standing(id)
}

// note takes notice of a write that was prepared.
func (a *ahead) note(w write) {
	switch w := w.(type) {
	case *CommitSessionBoundary:
		a.leave(w.RuntimeID, w.session.snapshot)
	case *putSnapshot:
		a.leave(w.session.runtime, w.session.snapshot)
	case *DeleteRuntime:
		a.leave(w.RuntimeID, nil)
	case *restoreSession: // that will be found out
		delete(a.left, w.id)
	}
}

func (a *ahead) leave(id store.RuntimeID, snapshot *store.Snapshot) {
	if a.left == nil {
		a.left = make(map[store.RuntimeID]*store.Snapshot)
	}
	a.left[id] = snapshot
}
