package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const small = 4096 // bytes of a segment

var id = ID{1, 2, 3}

// A testLog is a log in a directory of its own.
type testLog struct {
	t   testing.TB
	dir *os.File
	*Log
	*Reader
}

func created(t testing.TB) *testLog {
	l := &testLog{t: t}
	l.dir = l.opened(t.TempDir())
	require.NoError(t, Create(l.dir, small))
	return l
}

func (l *testLog) opened(path string) *os.File {
	dir, err := os.Open(path)
	require.NoError(l.t, err)
	l.t.Cleanup(func() { require.NoError(l.t, dir.Close()) })
	return dir
}

// open opens the log from a mark, and returns what it finds behind it.
func (l *testLog) open(from Mark, writable bool) (found []string, err error) {
	l.Log, l.Reader, err = Open(l.dir, id, small, from, writable, func(e Entry) error {
		found = append(found, text(e))
		return nil
	})
	return found, err
}

func (l *testLog) mustOpen(from Mark) []string {
	found, err := l.open(from, true)
	require.NoError(l.t, err)
	return found
}

func (l *testLog) append(entries ...Entry) {
	l.t.Helper()
	require.NoError(l.t, l.Append(entries))
}

func (l *testLog) close() { require.NoError(l.t, l.Close()) }

// names returns the names in the directory.
func (l *testLog) names() (all []string) {
	found, err := os.ReadDir(l.dir.Name())
	require.NoError(l.t, err)
	for _, f := range found {
		all = append(all, f.Name())
	}
	return all
}

func (l *testLog) segment(number uint64) string { return (&Log{dir: l.dir}).path(number) }

// text returns an entry as a test compares it.
func text(e Entry) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s/%d.%d:", e.Partition, e.Epoch, e.Index)
	for _, c := range e.Changes {
		if c.Delete {
			fmt.Fprintf(&s, " -%s", c.Key)
		} else {
			fmt.Fprintf(&s, " %s=%d×%.8q", c.Key, len(c.Value), c.Value)
		}
	}
	return s.String()
}

func texts(entries ...Entry) (all []string) {
	for _, e := range entries {
		all = append(all, text(e))
	}
	return all
}

// entry returns a batch with a value of some bytes.
func entry(index uint64, size int) Entry {
	return Entry{"p", journal.Position{Epoch: 1, Index: index}, []journal.Change{
		{Key: fmt.Append(nil, index), Value: bytes.Repeat([]byte{byte('a' + index%26)}, size)},
	}}
}

func TestAnOpenFindsWhatWasAppended(t *testing.T) {
	all := []Entry{
		{Partition: "", Position: journal.Position{Epoch: 1}},
		{"p\x00", journal.Position{Epoch: 1 << 60, Index: 1 << 61}, []journal.Change{
			{Key: nil, Value: nil}, {Key: []byte("k"), Delete: true}, {Key: []byte{0, 255}, Value: make([]byte, 300)},
		}},
		entry(3, small-headerSize-10), // just fits
		entry(4, 3*small),             // does not
		entry(5, 0),
		entry(6, small-200),
		entry(7, 100),
		entry(8, 100),
	}
	l := created(t)
	require.Empty(t, l.mustOpen(Mark{}))
	l.append(all[0], all[1])
	marks := []Mark{l.End()}
	for _, e := range all[2:] {
		l.append(e)
		marks = append(marks, l.End())
	}
	read := []string{}
	for size := int64(1); size > 0; {
		var err error
		size, err = l.Next(func(e Entry) error {
			read = append(read, text(e))
			return nil
		})
		require.NoError(t, err)
	}
	require.Equal(t, texts(all...), read)
	require.Equal(t, l.End(), l.Mark())
	l.close()
	require.Equal(t, texts(all...), l.mustOpen(Mark{}))
	assert.Equal(t, marks[len(marks)-1], l.End())
	l.close()
	for i, from := range marks {
		found, err := l.open(from, i%2 == 0)
		require.NoError(t, err)
		require.Equal(t, texts(all[i+2:]...), found)
		l.close()
	}
}

func TestAnErrorOfLookEndsAnOpen(t *testing.T) {
	l := created(t)
	l.mustOpen(Mark{})
	l.append(entry(1, 10))
	l.close()
	why := errors.New("why")
	_, _, err := Open(l.dir, id, small, Mark{}, true, func(Entry) error { return why })
	require.ErrorIs(t, err, why)
	require.ErrorContains(t, err, "frame 1")
}

// flipped is what a log of some frames gives, by the number of frames, after each of its
// bits was changed.
func TestAFlippedBitIsFoundButInTheLastFrame(t *testing.T) {
	l := created(t)
	l.mustOpen(Mark{})
	const frames = 4
	for i := range uint64(frames) {
		l.append(entry(i+1, 1200)) // three in a segment
	}
	var all []string
	for i := range uint64(frames) {
		all = append(all, text(entry(i+1, 1200)))
	}
	l.close()
	damaged, lost, begun := 0, 0, 0
	for segment := range uint64(2) {
		path := l.segment(segment + 1)
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		for at := range whole {
			broken := slices.Clone(whole)
			broken[at] ^= 1 << (at % 8)
			require.NoError(t, os.WriteFile(path, broken, 0o600))
			found, err := l.open(Mark{}, false)
			switch {
			case err != nil:
				require.ErrorIs(t, err, journal.ErrCorrupt)
				if segment == 0 {
					require.ErrorContains(t, err, "segment 1")
					damaged++
				} else {
					require.Less(t, at, headerSize, "where a segment begins there is a frame, or nothing")
					begun++
				}
				continue
			case len(found) == frames:
				require.Equal(t, all, found)
			default:
				require.Equal(t, all[:frames-1], found, "only the last frame")
				require.EqualValues(t, 1, segment)
				lost++
			}
			l.close()
		}
		require.NoError(t, os.WriteFile(path, whole, 0o600))
	}
	size := int(header{Length: uint64(len(appendEntry(nil, entry(1, 1200))))}.size())
	padding := size - headerSize - len(appendEntry(nil, entry(1, 1200)))
	assert.Equal(t, (frames-1)*(size-padding), damaged, "all bytes of all frames but the last")
	assert.Equal(t, size-padding-headerSize, lost)
	assert.Equal(t, headerSize, begun)
}

// A frame that the power has torn is as if it had never been, and the next one takes its
// place; however it was torn.
func TestATornFrameIsDropped(t *testing.T) {
	for _, size := range []int{10, 1000, 3000, 3 * small} { // the last two are in a segment of their own
		l := created(t)
		l.mustOpen(Mark{})
		l.append(entry(1, 2000))
		l.close()
		l.mustOpen(Mark{})
		l.append(entry(2, 10)) // so that there is a next segment, or room
		l.append(entry(3, size))
		last := l.segments[len(l.segments)-1].number
		at, end := l.Log.at-header{Length: uint64(len(appendEntry(nil, entry(3, size))))}.size(), l.Log.at
		l.close()
		first, err := os.ReadFile(l.segment(1))
		require.NoError(t, err)
		whole, err := os.ReadFile(l.segment(last))
		require.NoError(t, err)
		for cut := at; cut < end-alignment; cut += max(1, (end-at)/50) {
			for _, front := range []bool{true, false} { // which part has reached the disk
				torn := slices.Clone(whole)
				if front {
					clear(torn[cut:end])
				} else if cut > at {
					clear(torn[at:cut])
				} else {
					continue
				}
				require.NoError(t, os.WriteFile(l.segment(1), first, 0o600))
				require.NoError(t, os.WriteFile(l.segment(last), torn, 0o600))
				want := texts(entry(1, 2000), entry(2, 10))
				require.Equal(t, want, l.mustOpen(Mark{}), "cut at %d", cut)
				l.append(entry(3, 7))
				l.append(entry(4, size))
				l.close()
				require.Equal(t, append(want, texts(entry(3, 7), entry(4, size))...), l.mustOpen(Mark{}))
				l.close()
			}
		}
	}
}

// What was given up is used again, and what it holds is not taken for what was appended.
func TestSegmentsAreUsedAgain(t *testing.T) {
	l := created(t)
	l.mustOpen(Mark{})
	index := uint64(0)
	for round := range 30 {
		for range 10 {
			index++
			l.append(entry(index, 300+int(index*97)%900))
		}
		if round == 20 {
			index++
			l.append(entry(index, 5*small)) // is not kept
		}
		size := int64(0)
		for n := int64(1); n > 0; size += n {
			var err error
			n, err = l.Next(func(Entry) error { return nil })
			require.NoError(t, err)
		}
		require.NoError(t, l.Release(l.Reader, size))
		require.Zero(t, l.Backlog())
		require.LessOrEqual(t, len(l.names()), maxFree+4)
		if round%7 == 3 {
			mark := l.End()
			l.close()
			require.Empty(t, l.mustOpen(mark))
			require.Equal(t, mark, l.End())
			require.Equal(t, mark, l.Mark())
		}
	}
	for range l.names() {
		index++
		l.append(entry(index, 3000))
	}
	l.close()
	for _, name := range l.names() {
		info, err := os.Stat(filepath.Join(l.dir.Name(), name))
		require.NoError(t, err)
		assert.EqualValues(t, small, info.Size())
	}
}

// Pages of which the newest meta page was lost have reached an older frame. That may have been
// left in the segment that waits to be used again, and nothing follows it there.
func TestALogFromAnOlderFrame(t *testing.T) {
	l := created(t)
	l.mustOpen(Mark{})
	var marks []Mark
	appendSome := func(n int) {
		for range n {
			l.append(entry(uint64(len(marks)+1), 500))
			marks = append(marks, l.End())
		}
	}
	appendSome(60)
	for n := int64(1); n > 0; {
		var err error
		n, err = l.Next(func(Entry) error { return nil })
		require.NoError(t, err)
		require.NoError(t, l.Release(l.Reader, n))
	}
	appendSome(20)
	l.close()
	refused := 0
	for i, from := range marks {
		found, err := l.open(from, false)
		if err != nil {
			require.ErrorIs(t, err, journal.ErrCorrupt)
			refused++
			continue
		}
		require.Equal(t, marks[len(marks)-1], l.End(), "from frame %d", from.Number)
		require.Len(t, found, len(marks)-1-i)
		l.close()
	}
	require.Greater(t, refused, 20)
	require.Less(t, refused, 60)
}

// Of several frames with one number the one is salvaged that the next one follows, and any ID
// whose sum is right will do.
func TestSalvage(t *testing.T) {
	l := created(t)
	l.mustOpen(Mark{})
	l.close()
	var one, other []byte
	var marks []Mark
	mark := Mark{}
	for i := range uint64(5) {
		if i == 2 {
			other, _ = appendFrame(other, id, mark, []Entry{entry(9, 50)})
		}
		one, mark = appendFrame(one, id, mark, []Entry{entry(i, 10)})
		one = append(one, make([]byte, aligned(int64(len(one)))-int64(len(one)))...)
		marks = append(marks, mark)
	}
	write := func(number uint64, text []byte) {
		require.NoError(t, os.WriteFile(l.segment(number), append(bytes.Clone(text), make([]byte, small-len(text))...), 0o600))
	}
	salvage := func(id *ID, reached Mark) (found []string, notes []string) {
		w, err := Salvage(t.Context(), l.dir.Name(), id, small, func(_ string, _ int64, reason string) { notes = append(notes, reason) })
		require.NoError(t, err)
		w.Check(reached, true)
		require.NoError(t, w.Each(t.Context(), func(_ uint64, e Entry) error {
			found = append(found, text(e))
			return nil
		}))
		require.NoError(t, w.Close())
		return found, notes
	}
	want := texts(entry(0, 10), entry(1, 10), entry(2, 10), entry(3, 10), entry(4, 10))
	write(1, one)
	write(2, other)
	for _, id := range []*ID{&id, nil} {
		for _, reached := range append(marks, Mark{}) {
			found, notes := salvage(id, reached)
			require.Equal(t, want, found)
			require.Empty(t, notes)
		}
	}
	_, notes := salvage(nil, Mark{7, Hash{}})
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], "frame 7 of the log is damaged or missing")
	_, notes = salvage(nil, Mark{3, Hash{}})
	require.Equal(t, []string{"frame 3 of the log is not the one that the pages have reached"}, notes)
	one[bytes.Index(one, []byte("cccccccccc"))]++ // in the third
	write(1, one)
	found, notes := salvage(nil, Mark{})
	require.Equal(t, slices.Delete(want, 2, 3), found)
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], "frame 3 of the log is damaged")
	for _, sum := range []uint32{0, 1, 0xDEADBEEF, 1 << 31} {
		id := idWith(sum)
		require.Equal(t, sum, Sum(id[:]))
	}
}

// A log that is not the one that was written is refused.
func TestDamageToSegmentsIsFound(t *testing.T) {
	fill := func(l *testLog) (from Mark) {
		l.mustOpen(Mark{})
		for i := range uint64(12) {
			if l.append(entry(i+1, 1200)); i == 5 {
				from = l.End()
			}
		}
		l.close()
		return from
	}
	copied := func(t *testing.T, to, from string) {
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, b, 0o600))
	}
	for name, damage := range map[string]func(t *testing.T, l *testLog, from *Mark){
		"a segment is missing": func(t *testing.T, l *testLog, _ *Mark) { require.NoError(t, os.Remove(l.segment(3))) },
		"the first is missing": func(t *testing.T, l *testLog, _ *Mark) {
			require.NoError(t, os.Remove(l.segment(1)))
			require.NoError(t, os.Remove(l.segment(2)))
		},
		"all are missing": func(t *testing.T, l *testLog, _ *Mark) {
			for i := range uint64(5) {
				require.NoError(t, os.Remove(l.segment(i+1)))
			}
		},
		"one is cut":          func(t *testing.T, l *testLog, _ *Mark) { require.NoError(t, os.Truncate(l.segment(3), small-1)) },
		"one is empty":        func(t *testing.T, l *testLog, _ *Mark) { require.NoError(t, os.Truncate(l.segment(2), 0)) },
		"one is an older one": func(t *testing.T, l *testLog, _ *Mark) { copied(t, l.segment(3), l.segment(1)) },
		"two are swapped": func(t *testing.T, l *testLog, _ *Mark) {
			copied(t, l.segment(9), l.segment(2))
			copied(t, l.segment(2), l.segment(3))
			copied(t, l.segment(3), l.segment(9))
			require.NoError(t, os.Remove(l.segment(9)))
		},
		"it ends too early":      func(t *testing.T, l *testLog, from *Mark) { from.Number = 13 },
		"it has another history": func(t *testing.T, l *testLog, from *Mark) { from.Hash[0]++ },
		"it begins too late": func(t *testing.T, l *testLog, from *Mark) {
			require.NoError(t, os.Remove(l.segment(1)))
			require.NoError(t, os.Remove(l.segment(2)))
			*from = Mark{Number: 2}
		},
		"another log's": func(t *testing.T, l *testLog, _ *Mark) {
			other := created(t)
			id[0]++
			fill(other)
			id[0]--
			copied(t, l.segment(3), other.segment(3))
		},
		"a fork of this one's": func(t *testing.T, l *testLog, _ *Mark) {
			other := created(t)
			other.mustOpen(Mark{})
			for i := range uint64(12) {
				other.append(entry(i+2, 1200))
			}
			other.close()
			copied(t, l.segment(3), other.segment(3))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := created(t)
			from := fill(l)
			damage(t, l, &from)
			before := l.names()
			for _, writable := range []bool{false, true} {
				_, err := l.open(from, writable)
				require.ErrorIs(t, err, journal.ErrCorrupt)
			}
			require.Equal(t, before, l.names())
		})
	}
}

func TestWithoutRoomNothingIsAppended(t *testing.T) {
	l := created(t)
	l.mustOpen(Mark{})
	l.append(entry(1, 3000))
	for _, op := range []files.Op{files.Created, files.Resized, files.Renamed} {
		files.Before = func(c files.Change) error {
			if c.Op == op {
				return syscall.ENOSPC
			}
			return nil
		}
		err := l.Append([]Entry{entry(2, 3000)})
		files.Before = nil
		require.ErrorIs(t, err, journal.ErrRejected)
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
	l.append(entry(2, 3000))
	l.close()
	require.Equal(t, texts(entry(1, 3000), entry(2, 3000)), l.mustOpen(Mark{}))
	l.close()
}

func TestWhatAKilledProcessLeftUnfinishedGoes(t *testing.T) {
	l := created(t)
	l.mustOpen(Mark{})
	l.append(entry(1, 10))
	l.close()
	require.NoError(t, os.WriteFile(l.segment(2)+unmade, []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(l.segment(2), make([]byte, small), 0o600))
	require.NoError(t, os.WriteFile(l.segment(3), make([]byte, small), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(l.dir.Name(), "log-of mine"), nil, 0o600))
	_, err := l.open(Mark{}, false)
	require.NoError(t, err)
	l.close()
	require.Len(t, l.names(), 5, "reading changes nothing")
	require.Equal(t, texts(entry(1, 10)), l.mustOpen(Mark{}))
	require.Equal(t, []string{filepath.Base(l.segment(1)), filepath.Base(l.segment(2)), "log-of mine"}, l.names())
	l.close()
}

// A value may hold what a header of this log would be, of a frame that is yet to come. It is
// not taken for one where its segment is used again, nor where its own frame is torn.
func TestAValueIsNotTakenForAFrame(t *testing.T) {
	header, _ := appendFrame(nil, id, Mark{Number: 1 << 40}, nil)
	var value []byte
	for range 2 * alignment { // at each place where a frame may begin
		value = append(append(value, header...), 'x')
	}
	value = append(value, "looplooploop"...)
	l := created(t)
	var want []Entry
	index := uint64(0)
	grow := func(size int) {
		index++
		e := entry(index, size)
		e.Changes[0].Value = append(e.Changes[0].Value, value...)
		want = append(want, e)
		l.append(e)
	}
	same := func(from Mark) {
		t.Helper()
		n := 0
		var err error
		l.Log, l.Reader, err = Open(l.dir, id, small, from, true, func(e Entry) error {
			require.Less(t, n, len(want))
			require.Equal(t, want[n], e)
			n++
			return nil
		})
		require.NoError(t, err)
		require.Len(t, want, n)
	}
	same(Mark{})
	for round := range 40 {
		for range 4 {
			grow(10 + 37*round%200)
		}
		size := int64(0)
		for n := int64(1); n > 0; size += n {
			var err error
			n, err = l.Next(func(Entry) error { return nil })
			require.NoError(t, err)
		}
		require.NoError(t, l.Release(l.Reader, size))
		from := l.End()
		want = nil
		grow(10)
		l.close()
		same(from)
		grow(20)
		last, at := l.segments[len(l.segments)-1].number, l.Log.at
		l.close()
		whole, err := os.ReadFile(l.segment(last))
		require.NoError(t, err)
		torn := slices.Clone(whole)
		frame, _ := appendFrame(nil, id, Mark{}, want[1:])
		clear(torn[at-aligned(int64(len(frame))):][:headerSize])
		if at == aligned(int64(len(frame))) { // no segment begins like that
			torn = whole
		} else {
			want = want[:1]
			index--
		}
		require.NoError(t, os.WriteFile(l.segment(last), torn, 0o600))
		same(from)
	}
	l.close()
}

// What is hidden is there again, and nothing of it is left where a frame could begin.
func FuzzHide(f *testing.F) {
	f.Add([]byte("looplooploop....loop"), uint32(1))
	f.Add([]byte("\x01\x00\x00\x00"), uint32(1))
	f.Fuzz(func(t *testing.T, body []byte, place uint32) {
		b := slices.Clone(body)
		first := hide(b)
		require.Equal(t, -1, nextMagic(b, 0))
		require.NoError(t, restore(b, first))
		require.True(t, bytes.Equal(body, b))
		_ = restore(b, place) // ends
	})
}

// Whatever stands where a frame was expected, nothing is taken for one that is none.
func FuzzParseEntry(f *testing.F) {
	for _, e := range []Entry{{Partition: "p"}, entry(1, 5), {"", journal.Position{}, []journal.Change{{Delete: true}}}} {
		f.Add(appendEntry(nil, e))
	}
	f.Add([]byte{0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, rest, err := parseEntry(b)
		if err != nil {
			require.ErrorIs(t, err, errMalformed)
			return
		}
		again, more, err := parseEntry(append(appendEntry(nil, e), rest...))
		require.NoError(t, err)
		require.Equal(t, e, again)
		require.True(t, bytes.Equal(rest, more))
	})
}

func TestALaterFrameIsFoundWhereverItStands(t *testing.T) {
	whole, _ := appendFrame(nil, id, Mark{Number: 6}, []Entry{entry(1, 10)})
	for at := 0; at < 200; at += alignment {
		b := append([]byte(strings.Repeat("loopl", 40))[:at], whole...)
		assert.Equal(t, at, laterFrame(id, b, 6))
		assert.Equal(t, -1, laterFrame(id, b, 7))
		assert.Equal(t, -1, laterFrame(ID{}, b, 6))
		assert.Equal(t, -1, laterFrame(id, b[:at+headerSize-1], 6))
	}
}
