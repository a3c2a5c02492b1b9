// Package wal is a log in segments: files of a directory, to which frames are appended,
// each with one write and one sync.
//
// A frame is a header, which has its number, the sum of its body and the hash of the
// frame before, and a body of entries. Frames follow each other in a segment, each at a
// multiple of 8 bytes, and go on in the next segment where one has no more room for a
// frame. A segment has its size from the beginning, and is used again when what it holds
// is not needed any more. So what stands behind the last frame may be zeros, the rest of
// a frame that was never whole, or older frames, which have lower numbers.
//
// A frame is written when the one before is durable. So a frame that is not whole is
// damaged if a later one follows, and else it is the last, of which nobody was told.
package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

// SegmentSize is the size of a segment. One that holds a single frame may be larger.
const SegmentSize = 16 << 20

const (
	maxFree    = 4       // segments that are kept to be used again
	firstZeros = 4 << 20 // bytes that the first segment is filled with, while its maker waits
)

// A Log is a log that is open. One goroutine at a time appends; the other methods are
// safe beside it.
type Log struct {
	dir  *os.File
	id   ID
	size int64 // of a segment

	at      int64 // behind the last frame, in the last of segments
	buf     []byte
	spare   chan spare // the next segment, when it is made
	pending bool       // there is, or will be, one in spare

	backlog atomic.Int64 // bytes of frames that no Release has passed

	mu       sync.Mutex
	end      Mark
	segments []*segment // in order, the last one is written to
	free     []*segment // in order, before those
}

// A segment is one file of a log.
type segment struct {
	number uint64 // in its name
	first  uint64 // frame that it begins with; 0 if it is not in use
	file   *os.File
	info   os.FileInfo
	size   atomic.Int64
}

// A spare is a segment that was prepared, or why not.
type spare struct {
	*segment
	err error
}

const (
	// Prefix begins the name of a segment.
	Prefix   = "log-"
	numbered = Prefix + "%016x"
	unmade   = ".new" // ends the name of a segment that is being made
)

func (l *Log) path(number uint64) string {
	return filepath.Join(l.dir.Name(), fmt.Sprintf(numbered, number))
}

// Create makes the first segment of a log. size is that of its segments; 0 means
// SegmentSize.
func Create(dir *os.File, size int64) error {
	l := &Log{dir: dir, size: sizeOf(size)}
	s, err := l.make(1, firstZeros)
	if err != nil {
		return err
	}
	return s.file.Close()
}

func sizeOf(size int64) int64 {
	if size == 0 {
		return SegmentSize
	}
	return size
}

// make makes a segment that is durable, its name too. It begins with so many zeros, or is
// all zeros: to write over something is much faster than to write where nothing was.
func (l *Log) make(number uint64, zeros int64) (_ *segment, err error) {
	path := l.path(number)
	f, err := files.OpenFile(path+unmade, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), files.Remove(path+unmade))
		}
	}()
	if before := l.last(); before != nil {
		if err := files.SameAccess(f, before.file); err != nil {
			return nil, err
		}
	}
	if err := files.Resize(f, l.size); err != nil {
		return nil, err
	}
	block := make([]byte, 1<<20)
	for at := int64(0); at < min(zeros, l.size); at += int64(len(block)) {
		if err := files.WriteAt(f, block[:min(int64(len(block)), l.size-at)], at); err != nil {
			return nil, err
		}
	}
	if err := files.Sync(f); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := files.Rename(path+unmade, path); err != nil {
		return nil, err
	}
	if err := files.Sync(l.dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s := &segment{number: number, file: f, info: info}
	s.size.Store(l.size)
	return s, nil
}

// prepare makes the next segment, of a free one if there is any, beside the appends.
func (l *Log) prepare(number uint64) {
	l.pending = true
	go func() {
		s, err := l.reuse(number)
		if s == nil && err == nil {
			s, err = l.make(number, l.size)
		}
		l.spare <- spare{s, err}
	}()
}

// reuse gives a free segment a new number, if there is one. What it holds has lower
// numbers than what will be written over it.
func (l *Log) reuse(number uint64) (*segment, error) {
	l.mu.Lock()
	var s *segment
	if len(l.free) > 0 {
		s, l.free = l.free[0], l.free[1:]
	}
	l.mu.Unlock()
	if s == nil {
		return nil, nil
	}
	err := files.Rename(l.path(s.number), l.path(number))
	if err == nil {
		err = files.Sync(l.dir)
	}
	if err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	s.number, s.first = number, 0
	return s, nil
}

// Append appends a frame of entries, and returns when it is durable. An error that is
// journal.ErrRejected means that nothing was written; after any other, what the log
// holds at its end is unknown.
func (l *Log) Append(entries []Entry) error {
	var end Mark
	l.buf, end = appendFrame(l.buf[:0], l.id, l.end, entries)
	l.buf = append(l.buf, make([]byte, aligned(int64(len(l.buf)))-int64(len(l.buf)))...)
	n := int64(len(l.buf))
	s := l.last()
	if l.at > 0 && l.at+n > s.size.Load() {
		next, err := l.next(s.number + 1)
		if err != nil {
			return fmt.Errorf("%w: the log cannot have another segment: %w", journal.ErrRejected, err)
		}
		l.mu.Lock()
		l.segments = append(l.segments, next)
		l.mu.Unlock()
		s, l.at = next, 0
	}
	if l.at+n > s.size.Load() { // it is alone in its segment
		if err := files.Resize(s.file, l.at+n); err != nil {
			return fmt.Errorf("%w: no room in the log: %w", journal.ErrRejected, err)
		}
	}
	if err := files.WriteAt(s.file, l.buf, l.at); err != nil {
		return err
	}
	if err := files.SyncData(s.file); err != nil {
		return err
	}
	if l.at == 0 {
		s.first = end.Number
	}
	l.at += n
	s.size.Store(max(s.size.Load(), l.at))
	l.backlog.Add(n)
	l.mu.Lock()
	l.end = end
	l.mu.Unlock()
	if cap(l.buf) > int(SegmentSize) {
		l.buf = nil
	}
	return nil
}

// last returns the segment that is written to, nil if the first is yet to be made. A
// checkpoint beside gives up others.
func (l *Log) last() *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return nil
	}
	return l.segments[len(l.segments)-1]
}

// next returns the segment that follows, and lets the one after it be prepared.
func (l *Log) next(number uint64) (s *segment, err error) {
	if l.pending {
		made := <-l.spare
		l.pending, s = false, made.segment
	}
	if s == nil { // there may be room again
		if s, err = l.make(number, 0); err != nil {
			return nil, err
		}
	}
	l.prepare(number + 1)
	return s, nil
}

// InPlace checks that the segment that is written to is at its path. It is called by who
// appends.
func (l *Log) InPlace() error {
	s := l.last()
	return files.StillAt(l.path(s.number), s.info)
}

// Segment returns the number of the segment that is written to.
func (l *Log) Segment() uint64 { return l.last().number }

// End returns where the log ends.
func (l *Log) End() Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

// Backlog returns how many bytes of frames stand behind what was released.
func (l *Log) Backlog() int64 { return l.backlog.Load() }

// Release gives up the frames that a reader has passed. size is how many bytes of them
// have not been given up before. The segment in which the reader stands is kept, and so
// the last of the frames given up.
func (l *Log) Release(r *Reader, size int64) error {
	l.backlog.Add(-size)
	l.mu.Lock()
	var excess []*segment
	for len(l.segments) > 0 && l.segments[0] != r.segment {
		s := l.segments[0]
		l.segments = l.segments[1:]
		if s.size.Load() > l.size {
			excess = append(excess, s)
		} else {
			l.free = append(l.free, s)
		}
	}
	if n := len(l.free) - maxFree; n > 0 {
		excess, l.free = append(excess, l.free[:n]...), l.free[n:]
	}
	l.mu.Unlock()
	var err error
	for _, s := range excess {
		err = errors.Join(err, files.Remove(l.path(s.number)), s.file.Close())
	}
	return err
}

// Settle makes all of the log durable as it was found, before anything is built on it.
func (l *Log) Settle() error {
	for _, s := range l.segments {
		if err := files.Sync(s.file); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the files. Nothing may be appended any more.
func (l *Log) Close() (err error) {
	if l.pending {
		if made := <-l.spare; made.segment != nil {
			err = made.file.Close()
		}
	}
	for _, s := range append(l.free, l.segments...) {
		err = errors.Join(err, s.file.Close())
	}
	return err
}
