package wal

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

// Open opens the log in a directory, and calls look with each entry behind from. It
// checks all frames from there on, and that the log has the frame of from. size is that
// of its segments; 0 means SegmentSize. It changes nothing, unless it is writable: then
// it removes what a killed process has left unfinished.
//
// The reader that it returns stands behind from.
func Open(dir *os.File, id ID, size int64, from Mark, writable bool, look func(Entry) error) (_ *Log, _ *Reader, err error) {
	l := &Log{dir: dir, id: id, size: sizeOf(size), spare: make(chan spare, 1)}
	all, err := l.list(writable)
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(all))
		}
	}()
	if err != nil {
		return nil, nil, err
	}
	at := start(all, from)
	if at < 0 || from.Number == 0 && all[at].number != 1 {
		return nil, nil, Corrupt("the log has no segment with frame %d, which the pages have reached", from.Number)
	}
	for _, s := range all {
		if s.size.Load() < l.size {
			return nil, nil, Corrupt("segment %d of the log has %d bytes, less than its size", s.number, s.size.Load())
		}
	}
	r, err := l.recover(all[at:], from, look)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range all[:at] { // the frame may have been left in a segment that was to be used again
		if s.first > l.end.Number {
			return nil, nil, Corrupt("the log ends with frame %d, behind the one that the pages have reached, and segment %d begins with frame %d", l.end.Number, s.number, s.first)
		}
	}
	last, rest := l.segments[len(l.segments)-1].number, all[at+len(l.segments):]
	if len(rest) > 0 && rest[0].number != last+1 {
		return nil, nil, Corrupt("segment %d of the log is missing: there is one after it", last+1)
	}
	l.free = all[:at]
	return l, r, l.adopt(rest, writable)
}

// list returns the segments of a directory in order. The first frame of each is looked
// at, but not checked.
func (l *Log) list(writable bool) (all []*segment, err error) {
	entries, err := os.ReadDir(l.dir.Name())
	if err != nil {
		return nil, err
	}
	flag := os.O_RDONLY
	if writable {
		flag = os.O_RDWR
	}
	for _, e := range entries {
		path := filepath.Join(l.dir.Name(), e.Name())
		if writable && strings.HasPrefix(e.Name(), Prefix) && strings.HasSuffix(e.Name(), unmade) {
			if err := files.Remove(path); err != nil {
				return all, err
			}
		}
		number, ok := numberOf(e.Name())
		if !ok {
			continue
		}
		s := &segment{number: number}
		if s.file, err = files.OpenFile(path, flag, 0); err != nil {
			return all, err
		}
		all = append(all, s)
		if s.info, err = s.file.Stat(); err != nil {
			return all, err
		}
		s.size.Store(s.info.Size())
		start, err := startOf(s.file)
		if err != nil {
			return all, err
		}
		if h, ok := parseHeader(l.id, start); ok {
			s.first = h.Number
		} else if !blank(start) {
			return all, Corrupt("the log has no segment %d: the file of that name begins with no frame of this log", s.number)
		}
	}
	slices.SortFunc(all, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	return all, nil
}

// numberOf returns the number in a segment's name. ok is false if it is no segment's.
func numberOf(name string) (number uint64, ok bool) {
	n, err := fmt.Sscanf(name, numbered, &number)
	return number, n == 1 && err == nil && name == fmt.Sprintf(numbered, number)
}

// startOf returns the first bytes of a segment, where its first header is.
func startOf(f *os.File) ([]byte, error) {
	start := make([]byte, headerSize)
	if _, err := f.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return start, nil
}

// blank reports whether a segment starts as one does that was never written to. A header
// is within a sector, which is written as a whole or not at all.
func blank(start []byte) bool { return len(bytes.Trim(start, "\x00")) == 0 }

// Used reports whether anything was ever written to a log in a directory.
func Used(path string) (bool, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), Prefix) {
			continue
		}
		f, err := files.OpenFile(filepath.Join(path, e.Name()), os.O_RDONLY, 0)
		if err != nil {
			return false, err
		}
		start, err := startOf(f)
		if err = errors.Join(err, f.Close()); err != nil || !blank(start) {
			return err == nil, err
		}
	}
	return false, nil
}

func closeAll(all []*segment) (err error) {
	for _, s := range all {
		err = errors.Join(err, files.Close(s.file))
	}
	return err
}

// start returns which segment the frame of a mark is in, if it is there; -1 if there is
// no such. A segment that waits to be used again begins with a lower number than one
// before it.
func start(all []*segment, from Mark) int {
	at, first := -1, uint64(0)
	for i, s := range all {
		if s.first > first && s.first <= max(from.Number, 1) {
			at, first = i, s.first
		}
	}
	if at < 0 && from.Number == 0 && len(all) > 0 {
		return 0
	}
	return at
}

// recover reads the frames of segments until there are no more, and judges why.
func (l *Log) recover(segments []*segment, from Mark, look func(Entry) error) (*Reader, error) {
	r := &Reader{log: l, segment: segments[0]}
	if from.Number > 0 { // what the first frame follows is not there any more
		h, _, err := l.headerAt(r.segment, 0)
		if err != nil {
			return nil, err
		}
		r.mark = Mark{h.Number - 1, h.Before}
	}
	var passed *Reader
	used := 1
	for {
		if r.mark.Number == from.Number {
			if r.mark != from {
				return nil, Corrupt("frame %d of the log is not the one that the pages have reached", from.Number)
			}
			place := *r
			passed = &place
		}
		f, err := r.frame()
		if err != nil {
			return nil, err
		}
		if f == nil && used < len(segments) && segments[used].first == r.mark.Number+1 {
			in := *r
			r.segment, r.at = segments[used], 0
			if f, err = r.frame(); err != nil {
				return nil, err
			}
			if f == nil {
				*r = in
			} else {
				used++
			}
		}
		if f == nil {
			break
		}
		if r.mark.Number > from.Number {
			l.backlog.Add(f.size)
			if err := f.each(look); err != nil {
				return nil, fmt.Errorf("frame %d of the log, at byte %d of segment %d: %w", r.mark.Number, r.at-f.size, r.segment.number, err)
			}
		}
	}
	if err := r.torn(segments[used-1:]); err != nil {
		return nil, err
	}
	if passed == nil {
		return nil, Corrupt("the log ends with frame %d, and the pages have reached frame %d", r.mark.Number, from.Number)
	}
	l.segments, l.end, l.at = segments[:used:used], r.mark, r.at
	return passed, nil
}

// torn checks that what a reader has found behind the last whole frame is what was being
// written when the process ended, and no damage: that no later frame follows.
func (r *Reader) torn(segments []*segment) error {
	for i, s := range segments {
		at := int64(0)
		if i == 0 {
			at = r.at
		}
		later, err := r.log.laterFrame(s, at, r.mark.Number+1)
		if err != nil {
			return err
		}
		if later >= 0 {
			return Corrupt("frame %d of the log, at byte %d of segment %d, is damaged: a later one follows at byte %d of segment %d",
				r.mark.Number+1, r.at, r.segment.number, later, s.number)
		}
	}
	return nil
}

// laterFrame returns where in a segment, from at on, a frame begins whose number is larger
// than n; -1 if there is none.
func (l *Log) laterFrame(s *segment, at int64, n uint64) (int64, error) {
	buf := make([]byte, max(min(256<<10, s.size.Load()-at), 2*headerSize))
	for {
		at = files.NextData(s.file, at) &^ (alignment - 1)
		read, err := s.file.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if later := laterFrame(l.id, buf[:read], n); later >= 0 {
			return at + int64(later), nil
		}
		if err != nil {
			return -1, nil
		}
		at += int64(read) - headerSize // one may begin before the end
	}
}

// adopt takes over the segments behind the last that is in use. One may begin with a frame
// that was never whole. Its header goes, since the log may yet pass its number elsewhere.
func (l *Log) adopt(rest []*segment, writable bool) (err error) {
	if len(rest) > 0 && writable {
		next := rest[0]
		rest = rest[1:]
		if next.first > l.end.Number {
			err = cmp.Or(files.WriteAt(next.file, make([]byte, headerSize), 0), files.Sync(next.file))
		}
		next.first, l.pending = 0, true
		l.spare <- spare{segment: next}
		for _, s := range rest {
			err = errors.Join(err, files.Remove(l.path(s.number)))
		}
	}
	return errors.Join(err, closeAll(rest))
}

// A Reader stands behind a frame of a log.
type Reader struct {
	log     *Log
	segment *segment
	at      int64
	mark    Mark
}

// Mark returns the frame behind which the reader stands.
func (r *Reader) Mark() Mark { return r.mark }

// Next reads the next frame, and calls look with its entries. It returns how many bytes
// the frame takes, 0 if there is none.
func (r *Reader) Next(look func(Entry) error) (size int64, err error) {
	l := r.log
	l.mu.Lock()
	end, next := l.end, (*segment)(nil)
	if i := slices.Index(l.segments, r.segment); i >= 0 && i+1 < len(l.segments) {
		next = l.segments[i+1]
	}
	l.mu.Unlock()
	if r.mark == end {
		return 0, nil
	}
	f, err := r.frame()
	if f == nil && err == nil && next != nil {
		r.segment, r.at = next, 0
		f, err = r.frame()
	}
	switch {
	case err != nil:
		return 0, err
	case f == nil:
		return 0, Corrupt("frame %d of the log, at byte %d of segment %d, is damaged", r.mark.Number+1, r.at, r.segment.number)
	}
	return f.size, f.each(look)
}

// A frame is a whole frame that was read.
type frame struct {
	body []byte
	size int64
}

// frame reads the frame that follows, and passes it. It returns nil if none does that is
// whole.
func (r *Reader) frame() (*frame, error) {
	h, ok, err := r.log.headerAt(r.segment, r.at)
	if err != nil || !ok || h.Number != r.mark.Number+1 || h.Length > maxBody || h.Length > uint64(r.segment.size.Load()-r.at-headerSize) {
		return nil, err
	}
	if h.Before != r.mark.Hash {
		return nil, Corrupt("frame %d of the log, at byte %d of segment %d, does not follow the one before", h.Number, r.at, r.segment.number)
	}
	if err := holds(h, r.segment.number, r.at); err != nil {
		return nil, err
	}
	whole := make([]byte, headerSize+h.Length)
	if _, err := r.segment.file.ReadAt(whole, r.at); err != nil {
		return nil, err
	}
	body := whole[headerSize:]
	if Sum(body) != h.BodySum {
		return nil, nil
	}
	if err := restore(body, h.Hidden); err != nil {
		return nil, Corrupt("frame %d of the log, at byte %d of segment %d: %v", h.Number, r.at, r.segment.number, err)
	}
	r.at += h.size()
	r.mark = Mark{h.Number, hashOf(whole)}
	return &frame{body, h.size()}, nil
}

// headerAt returns the header at a place of a segment, if there is one.
func (l *Log) headerAt(s *segment, at int64) (h header, ok bool, err error) {
	b := make([]byte, headerSize)
	switch _, err := s.file.ReadAt(b, at); {
	case errors.Is(err, io.EOF):
		return h, false, nil
	case err != nil:
		return h, false, err
	}
	h, ok = parseHeader(l.id, b)
	return h, ok, nil
}

// each calls look with each entry of a frame.
func (f *frame) each(look func(Entry) error) error {
	for body := f.body; len(body) > 0; {
		e, rest, err := parseEntry(body)
		if err != nil {
			return Corrupt("%v", err)
		}
		if err := look(e); err != nil {
			return err
		}
		body = rest
	}
	return nil
}
