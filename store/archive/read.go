package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// Read reads a whole file that Write has written, now or in an earlier version of the format,
// and checks everything: each line's check, each value, the digest of each version of
// a session, and that counts, ids, numbers and sequences agree. Its error is an
// *Error, or r's. It takes less than 8 bytes of memory for each byte of the file,
// garbage and the State included, and a buffer of 64 KB. It reads all of each text
// that does not only add to the one before it, so shared parts take time again.
func Read(r io.Reader) (*state.State, error) {
	in := &reader{in: bufio.NewReaderSize(r, bufferSize), sealer: newSealer(), state: new(state.State)}
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
	again  bytes.Buffer // the line as it is written
	state  *state.State
	old    bool // the file is of version 1
	plain  bool // or of one before 3
	texts  texts
}

// fail returns an error at the line that was read last.
func (r *reader) fail(err error) error { return &Error{Line: r.line, Err: err} }

func (r *reader) file() error {
	head, err := r.header()
	if err != nil {
		return err
	}
	session := r.session
	if r.old {
		session = r.session1
	}
	if head.Revision > state.MaxRevision {
		return r.fail(errRevision)
	}
	for range head.Runtimes {
		if err := r.runtime(head.Revision); err != nil {
			return err
		}
	}
	for range head.Sessions {
		if err := session(); err != nil {
			return err
		}
	}
	for range head.Tombstones {
		if err := r.tombstone(head.Revision); err != nil {
			return err
		}
	}
	r.state.SetRevision(head.Revision)
	return r.end(head)
}

// header reads the first line. Another version's may differ in all but its first
// members.
func (r *reader) header() (head header, err error) {
	start := []byte(opening(head.kind()) + `"format":"` + format + `",`)
	if found, err := r.in.Peek(len(start)); !bytes.HasPrefix(start, found) || len(found) == 0 && err == io.EOF {
		r.line = 1
		return head, r.fail(r.kind())
	}
	if err := r.next(); err != nil {
		return head, err
	}
	var v struct {
		Version uint64 `json:"version"`
	}
	if json.Unmarshal(r.text, &v) == nil {
		switch v.Version {
		case formatVersion:
		case 2:
			r.plain = true
		case 1:
			r.old = true
			return r.header1()
		default:
			return head, r.fail(fmt.Errorf("%w: %d, and this program knows up to %d", ErrVersion, v.Version, formatVersion))
		}
	}
	if err := r.decode(&head); err != nil {
		return head, err
	}
	if r.plain && head.Keys+head.Tombstones > 0 {
		return head, r.fail(errSpelling)
	}
	return head, r.confirm(head)
}

// kind says what the file is, if it is no export.
func (r *reader) kind() error {
	const enough = 512
	found, _ := r.in.Peek(enough) // the error comes again
	return notExport(found)
}

func (r *reader) runtime(revision uint64) error {
	l, err := r.runtimeLine()
	if err != nil {
		return err
	}
	id := l.RuntimeID
	switch {
	case r.state.Version(id) != 0:
		return r.fail(errTwice)
	case l.Version == 0 || l.Version > revision:
		return r.fail(errVersion)
	case (l.LatestReceipt != nil) != (l.Runs > 0):
		return r.fail(errLatest)
	case l.Origin != nil && l.Origin.Number == 0:
		return r.fail(errOrigin)
	case r.plain && (l.Keys > 0 || l.Labels != nil || l.AfterSequence != nil || l.Made != store.Time{} || l.Active != store.Time{}), l.Labels != nil && len(l.Labels) == 0:
		return r.fail(errSpelling)
	}
	if !state.KeepsTime(l.Made) || !state.KeepsTime(l.Active) {
		return r.fail(errTime)
	}
	if err := store.ValidateLabels(l.Labels); err != nil {
		return r.fail(err)
	}
	at := r.line
	r.state.SetRevision(l.Version - 1)
	r.state.PutRuntime(id)
	if l.RuntimeState != "" {
		r.state.PutRuntimeState(id, l.RuntimeState)
	}
	r.state.PutTimes(id, l.Made, l.Active)
	if l.Labels != nil {
		r.state.PutLabels(id, l.Labels)
	}
	if l.AfterSequence != nil {
		r.state.PutFloor(id, *l.AfterSequence)
	}
	if l.Origin != nil {
		r.state.PutOrigin(id, *l.Origin)
	}
	if err := r.sessionOf(id, l.Versions); err != nil {
		return err
	}
	for _, part := range []struct {
		count uint64
		read  func(store.RuntimeID) error
	}{{l.InputStates, r.inputState}, {l.Runs, r.run}, {l.DroppedRuns, r.droppedRun}, {l.Keys, r.runtimeKey}} {
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

// runtimeLine reads the line of a runtime.
func (r *reader) runtimeLine() (l runtime, err error) {
	if r.old {
		return r.runtime1()
	}
	return l, r.take(&l)
}

// sessionOf reads so many versions of a runtime's session.
func (r *reader) sessionOf(id store.RuntimeID, versions uint64) (err error) {
	if r.old {
		return r.snapshot1(id, versions)
	}
	last := uint64(0)
	for range versions {
		if last, err = r.sessionVersion(id, last); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) inputState(id store.RuntimeID) error {
	var l inputState
	if err := r.read(&l); err != nil {
		return err
	}
	input := store.InputState(l.State)
	if l.PersistedInput != nil {
		input.PersistedInput = jsontext.Value(*l.PersistedInput)
		if err := input.Validate(); err != nil {
			return r.fail(err)
		}
	}
	if r.state.InputState(id, input.InputID) != nil {
		return r.fail(errTwice)
	}
	r.state.PutInputState(id, &input)
	return r.confirm(inputStateOf(input))
}

func (r *reader) run(id store.RuntimeID) error {
	var l run
	switch err := r.take(&l); {
	case err != nil:
		return err
	case r.state.HasRun(id, l.RunID):
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

func (r *reader) receipt(id store.RuntimeID, run store.RunID) (sequence uint64, err error) {
	var l receipt
	if err := r.take(&l); err != nil {
		return 0, err
	}
	if l.Receipt.RunID != run {
		return 0, r.fail(errRunID)
	}
	r.state.PutReceipt(id, state.NewReceipt((*store.RunBoundaryReceipt)(&l.Receipt)))
	return l.Receipt.Sequence, nil
}

func (r *reader) droppedRun(id store.RuntimeID) error {
	var l droppedRun
	if err := r.take(&l); err != nil {
		return err
	}
	if r.state.HasRun(id, l.RunID) {
		return r.fail(errTwice)
	}
	r.state.UseSequences(id, l.RunID, l.HighestSequence)
	return nil
}

func (r *reader) key() (k state.Key, err error) {
	var l key
	if err := r.take(&l); err != nil {
		return k, err
	}
	if !state.KeepsTime(l.Since) {
		return k, r.fail(errTime)
	}
	return state.Key(l), nil
}

func (r *reader) runtimeKey(id store.RuntimeID) error {
	k, err := r.key()
	if err == nil && !r.state.PutKey(id, k) {
		err = r.fail(errTwice)
	}
	return err
}

func (r *reader) tombstone(revision uint64) error {
	var l tombstone
	if err := r.take(&l); err != nil {
		return err
	}
	at := r.line
	switch {
	case l.Version == 0 || l.Version > revision:
		return r.fail(errVersion)
	case !state.KeepsTime(l.Deleted):
		return r.fail(errTime)
	}
	t := state.Tombstone{RuntimeID: l.RuntimeID, Revision: l.Version, Deleted: l.Deleted, HighestSequence: l.HighestSequence}
	for range l.Keys {
		k, err := r.key()
		if err != nil {
			return err
		}
		t.Keys = append(t.Keys, k)
	}
	if !r.state.PutTombstone(t) {
		return &Error{Line: at, Err: errTwice}
	}
	return nil
}

// end reads the last line and checks the header's counts.
func (r *reader) end(head header) error {
	want := end{Lines: uint64(r.line) + 1, SHA256: r.sealer.digest()}
	found := headerOf(head.Revision, r.state.Totals(), len(r.texts.parts))
	found.Version = head.Version
	var l end
	switch err := r.take(&l); {
	case err != nil:
		return err
	case l != want:
		return r.fail(errEnd)
	case head != found:
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

// take reads a line of l's kind and confirms it.
func (r *reader) take(l line) error {
	if err := r.read(l); err != nil {
		return err
	}
	return r.confirm(l)
}

// read reads a line of l's kind.
func (r *reader) read(l line) error {
	if err := r.next(); err != nil {
		return err
	}
	return r.decode(l)
}

// next reads the text of the next line.
func (r *reader) next() error {
	r.line++
	r.text = r.text[:0]
	var parts [][]byte // of a line that is longer than the buffer
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
		case r.line == 1: // no header is that long
			return r.fail(notExport(part))
		}
		parts = append(parts, bytes.Clone(part))
	}
}

// decode verifies the line's check and reads its members.
func (r *reader) decode(l line) error {
	to := len(r.text) - sealLength
	if to < 0 || !bytes.Equal(r.sealer.seal(r.text[:to]), r.text[to:]) {
		if bytes.HasSuffix(r.text, []byte("\r\n")) {
			return r.fail(errLineEnds)
		}
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

// confirm checks that the line is spelled as Write spells what was read of it.
func (r *reader) confirm(l line) error {
	if n := len(r.text) + len(r.text)/2; n > bufferSize && n > r.again.Cap() {
		r.again = *bytes.NewBuffer(make([]byte, 0, n)) // growing would take several times as much
	}
	if err := encode(&r.again, l); err != nil {
		return r.fail(reasonOf(err))
	}
	if !bytes.Equal(r.again.Bytes(), r.text[:len(r.text)-sealLength]) {
		return r.fail(errSpelling)
	}
	return nil
}

// reasonOf replaces an error of the JSON library, which may quote the text, by one
// that does not.
func reasonOf(err error) error {
	if v, ok := errors.AsType[*store.ValueError](err); ok {
		return v
	}
	if errors.Is(err, errPart) {
		return errPart
	}
	if s, ok := errors.AsType[*json.SemanticError](err); ok && s.JSONPointer != "" {
		return fmt.Errorf("a JSON %v is not what belongs there", s.JSONKind)
	}
	return errors.New("malformed JSON")
}
