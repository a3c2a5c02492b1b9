package archive

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
	"unsafe"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// texts are what was read of the sessions' texts.
type texts struct {
	parts   []*session.Part // by number, from 1
	bytes   int64           // of all of them that are no lists
	open    []*session.Part // of the text that is read, those that nothing lists yet
	line    part            // read last
	numbers numbers         // its buffer
	checker session.Checker
	checked map[checked]*store.Snapshot
	uses    uses // in the text that was checked last
}

// A checked text need not be read again.
type checked struct {
	root     *session.Part
	format   session.Format
	messages uint64
}

// sessionVersion reads a version of a runtime's session, and returns its number.
func (r *reader) sessionVersion(id store.RuntimeID, last uint64) (uint64, error) {
	var l sessionVersion
	if err := r.take(&l); err != nil {
		return 0, err
	}
	if l.Number <= last || l.Number > math.MaxInt64/2 { // a journal takes as many again
		return 0, r.fail(errNumber)
	}
	s, err := r.content(l.content)
	if err != nil {
		return 0, err
	}
	v := state.SessionVersion{Number: l.Number, Snapshot: *s, Made: l.Made}
	if b := l.Receipt; b != nil {
		v.Committed, v.RunID, v.Sequence = true, b.RunID, b.Sequence
	}
	r.state.PutSessionVersion(id, v)
	return l.Number, nil
}

// session reads a filed snapshot.
func (r *reader) session() error {
	var l filedSession
	if err := r.take(&l); err != nil {
		return err
	}
	by := r.state.Version(l.RuntimeID)
	switch {
	case by == 0:
		return r.fail(errFiled)
	case r.state.Session(l.SessionID) != nil:
		return r.fail(errTwice)
	}
	s, err := r.content(l.content)
	if err != nil {
		return err
	}
	r.putSession(l.RuntimeID, by, l.SessionID, s)
	return nil
}

// putSession files a snapshot, as a part of the last change of the runtime that filed
// it.
func (r *reader) putSession(by store.RuntimeID, version uint64, id store.SessionID, s *store.Snapshot) {
	r.state.SetRevision(version - 1)
	r.state.PutSession(by, id, s)
	r.state.Settle()
}

// content reads the parts that come with a text, and returns the snapshot of it. It
// compares the digest.
func (r *reader) content(c content) (*store.Snapshot, error) {
	at, before := r.line, uint64(len(r.texts.parts))
	for range c.Parts {
		if err := r.part(before); err != nil {
			return nil, err
		}
	}
	fail := func(err error) error { return &Error{Line: at, Err: err} }
	known := uint64(len(r.texts.parts))
	if c.Part > known || c.Parts > 0 && (len(r.texts.open) != 1 || c.Part != known) {
		return nil, fail(errRoot)
	}
	r.texts.open = r.texts.open[:0]
	what := checked{format: c.Format}
	if c.Part > 0 {
		what.root = r.texts.parts[c.Part-1]
	}
	if c.Messages != nil {
		what.messages = *c.Messages
	}
	s := r.texts.checked[what]
	if s == nil {
		if r.texts.uses.replace(what.root) {
			return nil, fail(errRepeated)
		}
		d, err := r.texts.checker.Read(c.Format, session.TextWith(what.root), what.messages)
		if err != nil {
			return nil, fail(fmt.Errorf("%w: %w", store.ErrInvalidSnapshot, err))
		}
		s = new(store.SnapshotOfDocument(d))
		if r.texts.checked == nil {
			r.texts.checked = make(map[checked]*store.Snapshot)
		}
		r.texts.checked[what] = s
	}
	if c.Digest != s.Digest() || what.messages != s.MessageCount() || (c.Messages != nil) != (s.Document() != nil) {
		return nil, fail(errDigest)
	}
	return s, nil
}

// part reads a part of a text whose own parts have numbers after some number. They
// come in the order in which the text has them, each once, and a list after those that
// it lists.
func (r *reader) part(before uint64) error {
	t := &r.texts
	l := &t.line
	*l = part{Parts: t.numbers[:0]}
	if err := r.read(l); err != nil {
		return err
	}
	if len(l.Parts) > 0 {
		t.numbers = l.Parts
	} else {
		l.Parts = nil
	}
	p, err := t.part(l, before)
	if err != nil {
		return r.fail(err)
	}
	t.parts, t.open = append(t.parts, p), append(t.open, p)
	return r.confirm(l)
}

func (t *texts) part(l *part, before uint64) (*session.Part, error) {
	bytes := bytesIn(l.Text, l.Base64)
	switch {
	case l.Number != uint64(len(t.parts))+1:
		return nil, errPartNext
	case l.Parts != nil && l.Text == nil && l.Base64 == nil:
		return t.list(l.Parts, before)
	case l.Parts != nil, (l.Text != nil) == (l.Base64 != nil), len(bytes) == 0, len(bytes) > session.MaxBytes:
		return nil, errPart
	case l.Base64 != nil && utf8.ValidString(bytes):
		return nil, errSpelling
	}
	t.bytes += int64(len(bytes))
	return session.LeafOf(bytes), nil
}

// bytesIn returns the bytes of a line that has them as a text or as base64.
func bytesIn(text *string, base64 []byte) string {
	if text != nil {
		return *text
	}
	return unsafe.String(unsafe.SliceData(base64), len(base64)) // which nobody changes
}

// list returns a list of the parts with some numbers. Those of them that are the
// text's own must be all that nothing lists yet, down to some place.
func (t *texts) list(numbers numbers, before uint64) (*session.Part, error) {
	listed, bytes, from := make([]*session.Part, len(numbers)), int64(0), len(t.open)
	for i, n := range numbers {
		if n == 0 || n > uint64(len(t.parts)) || slices.Contains(numbers[:i], n) {
			return nil, errListed
		}
		listed[i] = t.parts[n-1]
		bytes += int64(listed[i].Len())
		if n > before {
			from--
		}
	}
	at := max(from, 0)
	for i, n := range numbers {
		if n > before {
			if from < 0 || listed[i] != t.open[at] {
				return nil, errListed
			}
			at++
		}
	}
	for _, p := range listed {
		if floor := p.Floor(); floor != listed[0].Floor() || floor == session.MaxFloor {
			return nil, errLevels
		}
	}
	if bytes > min(t.bytes, math.MaxInt) {
		return nil, errTooLong
	}
	t.open = t.open[:max(from, 0)]
	return session.ListOf(listed), nil
}

// uses count how often a text has each of its parts. What the next text has too is not
// looked at again.
type uses struct {
	root     *session.Part
	of       map[*session.Part]int
	repeated int // parts that it has more than once
}

// replace counts those of another text, and reports whether that has a part twice.
func (u *uses) replace(root *session.Part) bool {
	if u.of == nil {
		u.of = make(map[*session.Part]int)
	}
	if root != nil {
		u.add(root)
	}
	if u.root != nil {
		u.drop(u.root)
	}
	u.root = root
	return u.repeated > 0
}

func (u *uses) add(p *session.Part) {
	switch u.of[p]++; u.of[p] {
	case 1:
		for _, part := range p.Parts() {
			u.add(part)
		}
	case 2:
		u.repeated++
	}
}

func (u *uses) drop(p *session.Part) {
	switch u.of[p]--; u.of[p] {
	case 0:
		delete(u.of, p)
		for _, part := range p.Parts() {
			u.drop(part)
		}
	case 1:
		u.repeated--
	}
}
