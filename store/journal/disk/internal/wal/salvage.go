package wal

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

// A Wreck is a log that is damaged, of which all is read that is whole.
type Wreck struct {
	id       ID
	note     Note
	segments []wreckedSegment // in order
	frames   []wreckedFrame   // in order, one of a number
}

// A Note takes notice of what is damaged, and where; at is -1 if that has no place.
type Note func(file string, at int64, reason string)

type wreckedSegment struct {
	*files.Patient
	number uint64
	name   string
}

// A wreckedFrame is a frame that is whole.
type wreckedFrame struct {
	header
	hash    Hash
	segment int
	at      int64
}

// Salvage finds all frames that are whole in the segments of a directory. Without an ID, it
// takes that of most of them. size is that of the log's segments; 0 means SegmentSize.
func Salvage(ctx context.Context, dir string, id *ID, size int64, note Note) (w *Wreck, err error) {
	w = &Wreck{note: note}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
			w = nil
		}
	}()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return w, err
	}
	for _, e := range entries {
		number, ok := numberOf(e.Name())
		if !ok {
			continue
		}
		file, err := files.OpenPatient(filepath.Join(dir, e.Name()), func(at int64, err error) {
			note(e.Name(), at, fmt.Sprintf("it cannot be read: %v", err))
		})
		if errors.Is(err, fs.ErrNotExist) { // a link to nothing
			note(e.Name(), -1, err.Error())
			continue
		}
		if err != nil {
			return w, err
		}
		if file.Size < sizeOf(size) {
			note(e.Name(), file.Size, fmt.Sprintf("the segment is cut off: it has %d bytes of %d", file.Size, sizeOf(size)))
		}
		w.segments = append(w.segments, wreckedSegment{file, number, e.Name()})
	}
	slices.SortFunc(w.segments, func(a, b wreckedSegment) int { return cmp.Compare(a.number, b.number) })
	if id == nil {
		if id, err = w.findID(ctx); err != nil || id == nil {
			return w, err
		}
	}
	w.id = *id
	var all []wreckedFrame
	for i := range w.segments {
		if err := w.scan(ctx, i, func(b []byte) (header, bool) { return parseHeader(w.id, b) }, func(f wreckedFrame) {
			all = append(all, f)
		}); err != nil {
			return w, err
		}
	}
	w.choose(all)
	return w, nil
}

// Close closes the files.
func (w *Wreck) Close() (err error) {
	for _, s := range w.segments {
		err = errors.Join(err, s.File.Close())
	}
	return err
}

// scan calls found with each frame of a segment that is whole, and whose header parse takes
// for one.
func (w *Wreck) scan(ctx context.Context, segment int, parse func([]byte) (header, bool), found func(wreckedFrame)) error {
	s := w.segments[segment]
	buf := make([]byte, min(256<<10, aligned(s.Size)+headerSize))
	window := buf[:0] // what stands at
	for at := int64(0); at+headerSize <= s.Size; {
		if len(window) < headerSize {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if at = files.NextData(s.File, at) &^ (alignment - 1); at+headerSize > s.Size {
				break
			}
			n, _ := s.ReadAt(buf, at)
			window = buf[:n]
		}
		pass := int64(alignment)
		switch next := nextMagic(window, 0); {
		case next < 0:
			pass = int64(len(window))&^(alignment-1) - headerSize + alignment // one may begin before the end
		case next > 0:
			pass = int64(next)
		default:
			h, ok := parse(window)
			if !ok || h.Number == 0 || h.Length == 0 || h.Length > maxBody || h.Length > uint64(s.Size-at-headerSize) {
				break
			}
			if err := holds(h, s.number, at); err != nil {
				return err
			}
			f := wreckedFrame{h, hashOf(window), segment, at}
			if Sum(w.body(f)) == h.BodySum {
				found(f)
				pass = h.size()
			}
		}
		at += pass
		window = window[min(pass, int64(len(window))):]
	}
	return nil
}

// body returns what stands behind a header.
func (w *Wreck) body(f wreckedFrame) []byte {
	body := make([]byte, f.Length)
	n, _ := w.segments[f.segment].ReadAt(body, f.at+headerSize)
	return body[:n]
}

// choose keeps one frame of each number: where there are several, the one that the next frame
// follows. What the next one does not follow was never followed, and is as good as lost.
func (w *Wreck) choose(all []wreckedFrame) {
	slices.SortStableFunc(all, func(a, b wreckedFrame) int { return cmp.Compare(b.Number, a.Number) })
	for len(all) > 0 {
		number, next := all[0].Number, 1
		for next < len(all) && all[next].Number == number {
			next++
		}
		same := all[:next]
		all = all[next:]
		if len(w.frames) > 0 && w.frames[len(w.frames)-1].Number == number+1 {
			before := w.frames[len(w.frames)-1].Before
			same = slices.DeleteFunc(same, func(f wreckedFrame) bool { return f.hash != before })
		}
		if len(same) > 0 {
			w.frames = append(w.frames, same[len(same)-1])
		}
	}
	slices.Reverse(w.frames)
}

// Check notes what is missing behind the frame that the pages have reached, and that frame if
// it is. If known is false, it is not known which.
func (w *Wreck) Check(reached Mark, known bool) {
	next := uint64(1)
	if known {
		next = max(reached.Number, 1)
	} else if len(w.frames) > 0 {
		next = w.frames[0].Number
	}
	file, at := Prefix, int64(-1)
	missing := func(to uint64) {
		what := fmt.Sprintf("frames %d to %d of the log are", next, to)
		if next == to {
			what = fmt.Sprintf("frame %d of the log is", to)
		}
		w.note(file, at, what+" damaged or missing: what was changed there may be older than it was, or missing")
	}
	for _, f := range w.frames {
		if f.Number >= next {
			if f.Number > next {
				missing(f.Number - 1)
			} else if known && f.Number == reached.Number && f.hash != reached.Hash {
				w.note(w.segments[f.segment].name, f.at, fmt.Sprintf("frame %d of the log is not the one that the pages have reached", f.Number))
			}
			next = f.Number + 1
		}
		file, at = w.segments[f.segment].name, f.at+f.size()
	}
	if known && next <= reached.Number {
		missing(reached.Number)
	}
}

// Each calls look with the entries of all frames, in the order of their numbers.
func (w *Wreck) Each(ctx context.Context, look func(number uint64, e Entry) error) error {
	for _, f := range w.frames {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		fr := &frame{body: w.body(f)}
		err := error(nil)
		if Sum(fr.body) != f.BodySum {
			err = Corrupt("it cannot be read again")
		} else if err = restore(fr.body, f.Hidden); err == nil {
			err = fr.each(func(e Entry) error { return look(f.Number, e) })
		}
		switch {
		case errors.Is(err, errMalformed), errors.Is(err, journal.ErrCorrupt):
			w.note(w.segments[f.segment].name, f.at, fmt.Sprintf("frame %d of the log: %v", f.Number, err))
		case err != nil:
			return err
		}
	}
	return nil
}

// findID returns an ID with which most frames have the right sum, nil if there are none. The
// sum of a header goes on from that of the ID, so it takes the frames' sums back to where the
// ID's ended. Any ID with that sum will do.
func (w *Wreck) findID(ctx context.Context) (*ID, error) {
	votes := map[uint32]int{}
	for i := range w.segments {
		if err := w.scan(ctx, i, func(b []byte) (h header, ok bool) {
			_, err := binary.Decode(b[:headerSize], binary.LittleEndian, &h)
			return h, err == nil
		}, func(f wreckedFrame) {
			var b bytes.Buffer
			_ = binary.Write(&b, binary.LittleEndian, f.header)
			votes[sumBefore(f.Sum, b.Bytes()[8:])]++
		}); err != nil {
			return nil, err
		}
	}
	var best uint32
	for sum, n := range votes {
		if n > votes[best] || n == votes[best] && sum < best {
			best = sum
		}
	}
	if votes[best] == 0 {
		return nil, nil
	}
	id := idWith(best)
	return &id, nil
}

// sumBefore returns the sum of what stood before b, from that of both.
func sumBefore(sum uint32, b []byte) uint32 {
	crc := ^sum
	for _, c := range slices.Backward(b) {
		i := byteBefore(crc)
		crc = (crc^castagnoli[i])<<8 | uint32(i^c)
	}
	return ^crc
}

// byteBefore returns which entry of the table a sum was made with: each has another highest
// byte.
func byteBefore(crc uint32) byte {
	for i, entry := range castagnoli {
		if entry>>24 == crc>>24 {
			return byte(i)
		}
	}
	return 0
}

// idWith returns an ID with a sum.
func idWith(sum uint32) (id ID) {
	// The last four bytes are such that the sum goes from that of the zeros before them to the
	// one that is wanted.
	before, want := sumBefore(sum, make([]byte, 4)), Sum(id[:12])
	binary.LittleEndian.PutUint32(id[12:], before^want)
	return id
}
