package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"unsafe"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// An Error says on which line a file is not one that Write has written. It
// holds nothing of the file. It wraps io.ErrUnexpectedEOF if the file ends too
// early, ErrVersion, or what else was wrong.
type Error struct {
	Line int // from 1
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what was wrong.
func (e *Error) Unwrap() error { return e.Err }

// ErrVersion means that the file has a version of the format which this package
// does not know, most likely a newer one.
var ErrVersion = errors.New("unknown version of the format")

// What else may be wrong with a line.
var (
	errFormat   = errors.New("not an export of loopstore")
	errCheck    = errors.New("it does not match its check: it was altered or moved, or a line before it is missing")
	errSpelling = errors.New("not spelled as it is written")
	errRevision = errors.New("no store comes to such a revision")
	errTwice    = errors.New("there is one with its id already")
	errTwo      = errors.New("more than one snapshot")
	errSequence = errors.New("the sequences do not ascend to the highest")
	errVersion  = errors.New("the version is not one of the revisions")
	errCounts   = errors.New("the header's counts are not those of the lines")
	errDigest   = errors.New("the snapshot has another digest, or number of messages")
	errRunID    = errors.New("a receipt of another run")
	errLatest   = errors.New("no latest receipt, or none that is there")
	errEmptyRun = errors.New("a run without receipts")
	errFiled    = errors.New("filed by a runtime that is not there, or under an id that is not its own")
	errEnd      = errors.New("the number of lines or their SHA-256 is another")
	errMore     = errors.New("more lines after the end")
)

// mostRevision is one revision each nanosecond for a hundred years. A store goes
// on from the revision that it takes over: from the highest number there is, its
// next change would make a file, and a journal, that nobody can read.
const mostRevision = 100 * 365 * 24 * 3600 * 1_000_000_000

// Read reads what Write has written, all of it, and checks everything: each
// line's check, every value, that counts, ids and sequences agree, and the
// digest of each session document. The error is an *Error, or r's.
func Read(r io.Reader) (*store.State, error) {
	in := &reader{in: bufio.NewReaderSize(r, bufferSize), sealer: newSealer(), state: new(store.State)}
	if err := in.file(); err != nil {
		return nil, err
	}
	return in.state, nil
}

type reader struct {
	in     *bufio.Reader
	sealer *sealer
	line   int
	text   []byte       // of the line
	again  bytes.Buffer // what it should be
	state  *store.State
}

// fail says on which line something is wrong.
func (r *reader) fail(err error) error { return &Error{Line: r.line, Err: err} }

func (r *reader) file() error {
	head, err := r.header()
	if err != nil {
		return err
	}
	if head.Revision > mostRevision {
		return r.fail(errRevision)
	}
	for range head.Runtimes {
		if err := r.runtime(head.Revision); err != nil {
			return err
		}
	}
	for range head.Sessions {
		if err := r.session(); err != nil {
			return err
		}
	}
	r.state.SetRevision(head.Revision)
	return r.end(head)
}

// header reads the first line. What has another version may look otherwise but
// for its first members.
func (r *reader) header() (head header, err error) {
	start := []byte(opening(head.kind()) + `"format":"` + format + `",`)
	if found, _ := r.in.Peek(len(start)); !bytes.HasPrefix(start, found) {
		r.line = 1
		return head, r.fail(errFormat)
	}
	if err := r.next(); err != nil {
		return head, err
	}
	var v struct {
		Version uint64 `json:"version"`
	}
	if json.Unmarshal(r.text, &v) == nil && v.Version != version {
		return head, r.fail(fmt.Errorf("%w: %d", ErrVersion, v.Version))
	}
	if err := r.decode(&head); err != nil {
		return head, err
	}
	return head, r.confirm(head)
}

func (r *reader) runtime(revision uint64) error {
	var l runtime
	if err := r.take(&l); err != nil {
		return err
	}
	id := l.RuntimeID
	switch {
	case r.state.Version(id) != 0:
		return r.fail(errTwice)
	case l.Version == 0 || l.Version > revision:
		return r.fail(errVersion)
	case l.Snapshots > 1:
		return r.fail(errTwo)
	case (l.LatestReceipt != nil) != (l.Runs > 0):
		return r.fail(errLatest)
	}
	at := r.line
	r.state.SetRevision(l.Version - 1)
	r.state.PutRuntime(id)
	if l.RuntimeState != "" {
		r.state.PutRuntimeState(id, l.RuntimeState)
	}
	for _, part := range []struct {
		count uint64
		read  func(store.RuntimeID) error
	}{{l.Snapshots, r.snapshot}, {l.InputStates, r.inputState}, {l.Runs, r.run}, {l.DroppedRuns, r.droppedRun}} {
		for range part.count {
			if err := part.read(id); err != nil {
				return err
			}
		}
	}
	if b := l.LatestReceipt; b != nil && !r.state.PutLatest(id, b.RunID, b.Sequence) {
		return &Error{Line: at, Err: errLatest}
	}
	r.state.Settle()
	return nil
}

func (r *reader) snapshot(id store.RuntimeID) error {
	var l snapshot
	if err := r.read(&l); err != nil {
		return err
	}
	s, err := r.snapshotOf(&l)
	if err != nil {
		return err
	}
	r.state.PutSnapshot(id, s)
	return r.confirm(snapshotOf(*s))
}

// snapshotOf returns the snapshot of a line. If it is a session document its
// digest is computed anew.
func (r *reader) snapshotOf(l *snapshot) (*store.Snapshot, error) {
	text := unsafe.String(unsafe.SliceData(l.Base64), len(l.Base64)) // nobody changes it
	if l.Text != nil {
		text = *l.Text
	}
	if l.Digest == "" {
		return new(store.SnapshotOf(unsafe.Slice(unsafe.StringData(text), len(text)))), nil
	}
	d, err := session.Read(text)
	if err != nil {
		return nil, r.fail(fmt.Errorf("%w: %w", store.ErrInvalidSnapshot, err))
	}
	if l.Messages == nil || l.Digest != d.HexDigest() || *l.Messages != d.MessageCount() {
		return nil, r.fail(errDigest)
	}
	return new(store.SnapshotOfDocument(d)), nil
}

func (r *reader) inputState(id store.RuntimeID) error {
	var l inputState
	if err := r.read(&l); err != nil {
		return err
	}
	state := store.InputState(l.State)
	if l.PersistedInput != nil {
		state.PersistedInput = jsontext.Value(*l.PersistedInput)
		if err := state.Validate(); err != nil {
			return r.fail(err)
		}
	}
	if r.state.InputState(id, state.InputID) != nil {
		return r.fail(errTwice)
	}
	r.state.PutInputState(id, &state)
	return r.confirm(inputStateOf(state))
}

func (r *reader) run(id store.RuntimeID) error {
	var l run
	switch err := r.take(&l); {
	case err != nil:
		return err
	case r.hasRun(id, l.RunID):
		return r.fail(errTwice)
	case l.Receipts == 0:
		return r.fail(errEmptyRun)
	}
	last := uint64(0)
	for i := range l.Receipts {
		sequence, err := r.receipt(id, l.RunID)
		switch {
		case err != nil:
			return err
		case sequence > l.HighestSequence || i > 0 && sequence <= last:
			return r.fail(errSequence)
		}
		last = sequence
	}
	r.state.UseSequences(id, l.RunID, l.HighestSequence)
	return nil
}

// hasRun reports whether a run has had receipts.
func (r *reader) hasRun(id store.RuntimeID, run store.RunID) bool {
	next, err := r.state.NextSequence(id, run)
	return next > 0 || err != nil
}

func (r *reader) receipt(id store.RuntimeID, run store.RunID) (sequence uint64, err error) {
	var l receipt
	if err := r.take(&l); err != nil {
		return 0, err
	}
	if l.Receipt.RunID != run {
		return 0, r.fail(errRunID)
	}
	r.state.PutReceipt(id, store.NewReceipt((*store.RunBoundaryReceipt)(&l.Receipt)))
	return l.Receipt.Sequence, nil
}

func (r *reader) droppedRun(id store.RuntimeID) error {
	var l droppedRun
	if err := r.take(&l); err != nil {
		return err
	}
	if r.hasRun(id, l.RunID) {
		return r.fail(errTwice)
	}
	r.state.UseSequences(id, l.RunID, l.HighestSequence)
	return nil
}

func (r *reader) session() error {
	var l filedSession
	if err := r.read(&l); err != nil {
		return err
	}
	by, own := r.state.Version(l.RuntimeID), r.state.Snapshot(l.RuntimeID)
	filed := own
	if l.Snapshot != nil {
		var err error
		if filed, err = r.snapshotOf(l.Snapshot); err != nil {
			return err
		}
	}
	switch {
	case by == 0, filed == nil, filed.Document() != nil && store.SessionID(filed.Document().ID()) != l.SessionID:
		return r.fail(errFiled)
	case r.state.Session(l.SessionID) != nil:
		return r.fail(errTwice)
	}
	r.state.SetRevision(by - 1)
	r.state.PutSession(l.RuntimeID, l.SessionID, filed)
	r.state.Settle()
	return r.confirm(sessionOf(l.SessionID, store.FiledSnapshot{By: l.RuntimeID, Snapshot: *filed}, own))
}

// end reads the last line, and checks the header's counts.
func (r *reader) end(head header) error {
	want := end{Lines: uint64(r.line) + 1, SHA256: r.sealer.digest()}
	var l end
	switch err := r.take(&l); {
	case err != nil:
		return err
	case l != want:
		return r.fail(errEnd)
	case head != headerOf(head.Revision, r.state.Totals()):
		return &Error{Line: 1, Err: errCounts}
	}
	r.line++
	switch _, err := r.in.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return r.fail(errMore)
	default:
		return err
	}
}

// take reads a line that says all there is to say of what it is.
func (r *reader) take(l line) error {
	if err := r.read(l); err != nil {
		return err
	}
	return r.confirm(l)
}

// read reads a line, which must be of l's kind.
func (r *reader) read(l line) error {
	if err := r.next(); err != nil {
		return err
	}
	return r.decode(l)
}

// next finds the end of the next line.
func (r *reader) next() error {
	r.line++
	r.text = r.text[:0]
	var parts [][]byte // of a long line
	for {
		part, err := r.in.ReadSlice('\n')
		switch {
		case err == nil && parts == nil:
			r.text = append(r.text, part...)
			return nil
		case err == nil:
			r.text = slices.Concat(append(parts, part)...)
			return nil
		case err == io.EOF:
			return r.fail(fmt.Errorf("the file ends too early: %w", io.ErrUnexpectedEOF))
		case err != bufio.ErrBufferFull:
			return err
		case r.line == 1: // no header is as long
			return r.fail(errFormat)
		}
		parts = append(parts, bytes.Clone(part))
	}
}

// decode checks the line's end, and reads the rest of it.
func (r *reader) decode(l line) error {
	to := len(r.text) - sealLength
	if to < 0 || !bytes.Equal(r.sealer.seal(r.text[:to]), r.text[to:]) {
		return r.fail(errCheck)
	}
	if !bytes.HasPrefix(r.text[:to], []byte(opening(l.kind()))) {
		return r.fail(fmt.Errorf("not a line of type %q, which comes next", l.kind()))
	}
	if err := decode(r.text, l); err != nil {
		return r.fail(reasonOf(err))
	}
	return nil
}

// confirm checks that the line is what is written for what was read.
func (r *reader) confirm(l line) error {
	if n := len(r.text) + len(r.text)/2; n > bufferSize && n > r.again.Cap() {
		r.again = *bytes.NewBuffer(make([]byte, 0, n)) // so that it need not grow, which takes it twice or more
	}
	if err := encode(&r.again, l); err != nil {
		return r.fail(reasonOf(err))
	}
	if !bytes.Equal(r.again.Bytes(), r.text[:len(r.text)-sealLength]) {
		return r.fail(errSpelling)
	}
	return nil
}

// reasonOf turns an error of the JSON library, which may quote the text, into
// one that does not.
func reasonOf(err error) error {
	if v, ok := errors.AsType[*store.ValueError](err); ok {
		return v
	}
	if s, ok := errors.AsType[*json.SemanticError](err); ok && s.JSONPointer != "" {
		return fmt.Errorf("a JSON %v is not what belongs there", s.JSONKind)
	}
	return errors.New("malformed JSON")
}
