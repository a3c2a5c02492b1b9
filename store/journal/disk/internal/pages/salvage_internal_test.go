package pages

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// seedPages returns a file with some partitions, one of them of several pages.
func seedPages(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pages")
	dir, err := os.Open(filepath.Dir(path))
	require.NoError(t, err)
	defer func() { require.NoError(t, dir.Close()) }()
	require.NoError(t, Create(t.Context(), path, dir, nil))
	f, err := Open(t.Context(), path, dir, 0)
	require.NoError(t, err)
	for round := range uint64(3) {
		p, err := f.Pending()
		require.NoError(t, err)
		for i, name := range []string{"p", "q", "r"} {
			var changes []journal.Change
			for n := range []int{40, 2, 1}[i] {
				changes = append(changes, journal.Change{Key: fmt.Appendf(nil, "key %02d", n), Value: bytes.Repeat([]byte{byte(round)}, 200)})
			}
			changes = append(changes, journal.Change{Key: []byte("large"), Value: make([]byte, 5000)})
			require.NoError(t, p.Add(wal.Entry{Partition: name, Position: journal.Position{Index: round + 1}, Changes: changes}))
		}
		require.NoError(t, f.Apply(wal.Mark{Number: round + 1}, p))
	}
	require.NoError(t, f.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

// FuzzTrees alters bytes of a file, each with its place, and makes the sums of the meta pages
// right again. Whatever the file is, its keys come once, in order and within the bounds.
func FuzzTrees(f *testing.F) {
	seed := seedPages(f)
	f.Add([]byte{}, uint16(0))
	f.Add([]byte{0, 0x20, 8, 1, 0, 0x30, 10, 255, 0, 0x30, 12, 255}, uint16(0))
	f.Add([]byte{0, 0, 16, 0, 0, 0x10, 16, 0}, uint16(9000))
	f.Fuzz(func(t *testing.T, patches []byte, cut uint16) {
		file := bytes.Clone(seed)
		for ; len(patches) >= 4; patches = patches[4:] {
			at := int(patches[0])<<16 | int(patches[1])<<8 | int(patches[2])
			file[at%len(file)] = patches[3]
		}
		for i := range 2 {
			body := file[i*pageSize+pageHeader:]
			if cut%2 == 0 && native.Uint32(body) == metaMagic {
				sum := fnv.New64a()
				sum.Write(body[:56])
				native.PutUint64(body[56:], sum.Sum64())
			}
		}
		if n := int(cut); n < len(file) && n > 0 {
			file = file[:len(file)-n]
		}
		trees, err := Trees(t.Context(), bytes.NewReader(file), int64(len(file)), func(int64, string) {})
		if err != nil {
			require.ErrorIs(t, err, journal.ErrNewerFormat)
			return
		}
		for _, tree := range trees {
			for _, name := range tree.Partitions() {
				walked(t, tree, name, nil, nil)
				walked(t, tree, name, []byte("key 1"), []byte("key 30"))
			}
		}
	})
}

// walked walks through a range, and checks that records and what is lost follow each other.
func walked(t *testing.T, tree *Tree, name string, first, end []byte) {
	t.Helper()
	at, over := bytes.Clone(first), false
	require.NoError(t, tree.Walk(t.Context(), name, first, end, func(key, _ []byte) error {
		require.False(t, over)
		require.LessOrEqual(t, string(at), string(key))
		require.True(t, end == nil || bytes.Compare(key, end) < 0)
		at = append(bytes.Clone(key), 0)
		return nil
	}, func(from, to []byte) error {
		require.False(t, over)
		require.LessOrEqual(t, string(at), string(from))
		require.True(t, to == nil || bytes.Compare(from, to) < 0)
		require.True(t, end == nil || to != nil && bytes.Compare(to, end) <= 0)
		at, over = bytes.Clone(to), to == nil
		return nil
	}))
}

// A walk through part of a tree that is whole finds what is within the bounds.
func TestAWalkWithinBounds(t *testing.T) {
	seed := seedPages(t)
	trees, err := Trees(t.Context(), bytes.NewReader(seed), int64(len(seed)), func(_ int64, reason string) { t.Error(reason) })
	require.NoError(t, err)
	require.Len(t, trees, 2)
	for i, tree := range trees {
		mark, known := tree.Log()
		require.True(t, known)
		require.EqualValues(t, 3-i, mark.Number)
		at, known := tree.Position("q")
		require.True(t, known)
		require.Equal(t, journal.Position{Index: mark.Number}, at)
		_, known = tree.Position("none")
		require.True(t, known)
		for _, tc := range []struct {
			first, end string
			keys       int
		}{{"", "", 41}, {"key 10", "key 20", 10}, {"key 10", "", 31}, {"", "key 10", 10}, {"key 10\x00", "key 10\x01", 0}, {"key 39", "large", 1}} {
			n, end := 0, []byte(tc.end)
			if tc.end == "" {
				end = nil
			}
			require.NoError(t, tree.Walk(t.Context(), "p", []byte(tc.first), end, func(_, value []byte) error {
				n++
				require.Contains(t, []int{0, int(mark.Number) - 1}, int(value[0]))
				return nil
			}, func(_, _ []byte) error { t.Error("nothing is lost"); return nil }))
			require.Equal(t, tc.keys, n)
		}
	}
}

// A page that leads to itself, and one that claims to have many, end a walk.
func TestAWalkComesToAnEnd(t *testing.T) {
	seed := seedPages(t)
	trees, err := Trees(t.Context(), bytes.NewReader(seed), int64(len(seed)), func(int64, string) {})
	require.NoError(t, err)
	root := trees[0].buckets["pp"].root
	page := seed[root*pageSize:][:pageSize]
	require.EqualValues(t, branchFlag, native.Uint16(page[8:]))
	element := page[pageHeader:]
	native.PutUint64(element[8:], root)
	copy(element[elementSize:], element[native.Uint32(element):][:native.Uint32(element[4:])]) // right behind the only one
	native.PutUint32(element, elementSize)
	native.PutUint16(page[10:], 1)
	var notes []string
	trees, err = Trees(t.Context(), bytes.NewReader(seed), int64(len(seed)), func(_ int64, reason string) { notes = append(notes, reason) })
	require.NoError(t, err)
	lost := 0
	require.NoError(t, trees[0].Walk(t.Context(), "p", nil, nil, func(_, _ []byte) error { return nil },
		func(_, _ []byte) error { lost++; return nil }))
	require.Equal(t, 1, lost)
	require.Contains(t, notes[0], "too deep")
	binary.NativeEndian.PutUint32(page[12:], 1<<31)
	notes = nil
	walked(t, trees[0], "p", nil, nil)
	require.Contains(t, notes[0], "pages, but only")
}

// A page to which a damaged key leads is lost with all keys that it may have.
func TestAKeyOfABranchIsDamaged(t *testing.T) {
	seed := seedPages(t)
	trees, err := Trees(t.Context(), bytes.NewReader(seed), int64(len(seed)), func(int64, string) {})
	require.NoError(t, err)
	root := trees[0].buckets["pp"].root
	items, err := itemsOf(root, seed[root*pageSize:][:pageSize], nil, nil, nil)
	require.NoError(t, err)
	for i, it := range items[1:] {
		for _, by := range []byte{1, 255} {
			before := bytes.Clone(it.key)
			it.key[len(it.key)-1] += by
			lost := 0
			require.NoError(t, trees[0].Walk(t.Context(), "p", nil, nil, func(_, _ []byte) error { return nil }, func(first, end []byte) error {
				if bytes.Compare(first, before[1:]) <= 0 && (end == nil || bytes.Compare(before[1:], end) < 0) {
					lost++
				}
				return nil
			}))
			require.Equal(t, 1, lost, "key %d by %d", i, by)
			it.key[len(it.key)-1] -= by
		}
	}
}
