package pages

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// A Tree is what one transaction left in a damaged file, as far as it can be read. bbolt
// writes no page that is in use, so of the last transaction and the one before both can be
// there, and what is damaged in one may be whole in the other.
type Tree struct {
	file  io.ReaderAt
	high  uint64
	root  uint64
	tx    uint64
	write Note
	found []func() // what to write, until the tree is used
	used  bool
	whole bool // no page is lost that leads to buckets

	buckets map[string]bucket
	heads   map[string]journal.Head // of partitions
	stamped bool                    // log and the heads are those of the transaction
	log     wal.Mark                // that it has reached
}

// A bucket is a root page, or a copy of the items within an element.
type bucket struct {
	root  uint64
	items []item
	at    uint64 // page of the element
}

// A Note takes notice of what is damaged, and where.
type Note func(at int64, reason string)

// deepest is more levels than a tree can have. Damage may lead round.
const deepest = 64

// Trees returns what can be read of a file of a size, the newest first. If a meta page is
// damaged, or what both lead to, it searches all pages for such as lead to buckets.
func Trees(ctx context.Context, file io.ReaderAt, size int64, note Note) (trees []*Tree, err error) {
	high, searched := uint64(size)/pageSize, false
	add := func(t *Tree) error {
		if slices.ContainsFunc(trees, func(o *Tree) bool { return o.root == t.root }) {
			return nil
		}
		t.file, t.write = file, note
		err := t.open(ctx)
		switch {
		case err != nil:
			return err
		case len(t.buckets) > 0 && (!searched || t.stamped):
			trees = append(trees, t)
		case !searched:
			t.Use()
		}
		return nil
	}
	if uint64(size)%pageSize != 0 || high < 4 {
		note(size, "the file is cut off")
	}
	intact := 0
	for i := range uint64(2) {
		page := make([]byte, pageSize)
		if n, _ := file.ReadAt(page, int64(i)*pageSize); n < len(page) {
			continue
		}
		if err := sameOrder(page); err != nil {
			return nil, err
		}
		m, version, valid := parseMeta(page)
		switch {
		case valid && version > metaVersion:
			return nil, fmt.Errorf("%w: version %d of bbolt's format, this program knows %d", journal.ErrNewerFormat, version, metaVersion)
		case !valid || version < metaVersion || native.Uint32(page[pageHeader+8:]) != pageSize:
			note(int64(i)*pageSize, "the meta page is damaged")
			continue
		case m.high > high:
			note(size, fmt.Sprintf("the file is cut off: it has %d bytes, and transaction %d left %d pages of %d", size, m.txid, m.high, pageSize))
		}
		intact++
		if err := add(&Tree{high: min(m.high, high), root: m.root, tx: m.txid}); err != nil {
			return nil, err
		}
	}
	if intact < 2 || !slices.ContainsFunc(trees, func(t *Tree) bool { return t.stamped }) {
		searched = true
		for id := uint64(2); id < high; id++ {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			if !isRoot(file, id, high) {
				continue
			}
			if err := add(&Tree{high: high, root: id}); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(trees, func(a, b *Tree) int { return cmp.Compare(b.tx, a.tx) })
	return trees[:min(len(trees), 3)], nil
}

// largestRoot is more pages than belong to one of the root, with names of any length.
const largestRoot = 64

// isRoot reports whether a page leads to buckets, and the heads are one of them. A file
// with so many partitions that one page does not hold all has no such page.
func isRoot(file io.ReaderAt, id, high uint64) bool {
	var header [pageHeader]byte
	if _, err := file.ReadAt(header[:], int64(id)*pageSize); err != nil || native.Uint64(header[:]) != id ||
		native.Uint16(header[8:]) != leafFlag || native.Uint32(header[12:]) > largestRoot {
		return false
	}
	w := &walker{ctx: context.Background(), file: file, high: high}
	items, _, err := w.page(id, 0, nil, nil)
	return err == nil && len(items) > 0 && bytes.Equal(items[0].key, headsBucket) &&
		!slices.ContainsFunc(items, func(it item) bool { return it.flags != bucketFlag })
}

// open reads which buckets there are, and the heads. A tree that was searched for has no
// number until then.
func (t *Tree) open(ctx context.Context) error {
	t.whole, t.buckets, t.heads = true, map[string]bucket{}, map[string]journal.Head{}
	s := t.salvager(ctx)
	s.lost = func(_, _ []byte) error { t.whole = false; return nil }
	s.check = func(id uint64, i int, it item) error {
		if it.flags != bucketFlag || len(it.value) < bucketHeader {
			return wal.Corrupt("it is no bucket")
		}
		root, items, err := bucketIn(id, i, bytes.Clone(it.value))
		t.buckets[string(it.key)] = bucket{root, items, id}
		if err != nil {
			delete(t.buckets, string(it.key))
		}
		return err
	}
	s.look = func(item) error { return nil }
	if err := s.tree(t.root, 0, nil, nil); err != nil {
		return err
	}
	b, ok := t.buckets[string(headsBucket)]
	if !ok {
		return nil
	}
	whole, stamp := true, []byte(nil)
	var digest journal.Digest
	s = t.salvager(ctx)
	s.lost = func(_, _ []byte) error { whole = false; return nil }
	s.check = func(_ uint64, _ int, it item) error {
		if bytes.Equal(it.key, stampKey) {
			return nil
		}
		if bytes.Equal(it.key, formatKey) {
			_, err := decodeFormat(it.value)
			return err
		}
		_, err := decodeHead(it.key, it.value)
		return err
	}
	s.look = func(it item) error {
		switch {
		case bytes.Equal(it.key, stampKey):
			stamp = bytes.Clone(it.value)
		case !bytes.Equal(it.key, formatKey):
			t.heads[string(it.key)], _ = decodeHead(it.key, it.value)
			digest.Add(it.key, it.value)
		}
		return nil
	}
	if err := s.bucket(b); err != nil {
		return err
	}
	return t.readStamp(stamp, digest, whole)
}

// readStamp notes which transaction left the tree, and how far it had brought the log.
func (t *Tree) readStamp(r []byte, found journal.Digest, whole bool) error {
	var s stamp
	if len(r) == stampSize {
		_, _ = binary.Decode(r[sumSize:], binary.LittleEndian, &s)
	}
	switch {
	case !bytes.Equal(r, s.encode(formatVersion)):
		t.note(t.at(), "how far the log was brought into the pages is lost")
		return nil
	case t.tx > 0 && s.Tx != t.tx, whole && s.Heads != found:
		t.note(t.at(), fmt.Sprintf("its heads are not those that transaction %d left: some records may be older than they were", max(t.tx, s.Tx)))
	default:
		t.stamped = true
	}
	t.tx, t.log = max(t.tx, s.Tx), s.Log
	return nil
}

// note takes notice of what is damaged. What is in a tree that is not used does not matter.
func (t *Tree) note(at int64, reason string) {
	if !t.used {
		t.found = append(t.found, func() { t.write(at, reason) })
		return
	}
	t.write(at, reason)
}

// Use takes notice of what was found while the tree was not used.
func (t *Tree) Use() {
	t.used = true
	for _, write := range t.found {
		write()
	}
	t.found = nil
}

func (t *Tree) at() int64 { return int64(t.root) * pageSize }

// Log returns how far the log was brought into the pages. known is false if that is lost, or
// does not belong to all that there is.
func (t *Tree) Log() (m wal.Mark, known bool) { return t.log, t.stamped }

// Partitions returns the names of those that can be seen.
func (t *Tree) Partitions() (names []string) {
	for name := range t.buckets {
		if name[0] == 'p' {
			names = append(names, name[1:])
		}
	}
	for name := range t.heads {
		if name[0] == 'p' {
			names = append(names, name[1:])
		}
	}
	return names
}

// Position returns where a partition stood. known is false if that is lost; one that was not
// there has the zero Position.
func (t *Tree) Position(partition string) (at journal.Position, known bool) {
	h, ok := t.heads[string(bucketOf(partition))]
	_, there := t.buckets[string(bucketOf(partition))]
	return h.Position, t.stamped && (ok || t.whole && !there)
}

// Walk calls look with each record of a partition whose key is first or later and before
// end, in ascending order of the keys; nil is no bound. In between it calls lost with each
// range of keys in which there may have been records that cannot be read. Of keys and values
// nothing may be kept.
func (t *Tree) Walk(ctx context.Context, partition string, first, end []byte, look func(key, value []byte) error, lost func(first, end []byte) error) error {
	t.Use()
	name := bucketOf(partition)
	b, ok := t.buckets[string(name)]
	h, headed := t.heads[string(name)]
	if !ok {
		if t.whole && !headed {
			return nil
		}
		return lost(first, end)
	}
	s := t.salvager(ctx)
	s.first, s.end = storedKey(first), []byte{'k' + 1}
	if end != nil {
		s.end = storedKey(end)
	}
	found, all := journal.Head{Position: h.Position}, len(first) == 0 && end == nil
	s.lost = func(first, end []byte) error {
		all = false
		if bytes.Equal(end, []byte{'k' + 1}) {
			return lost(first[1:], nil)
		}
		return lost(first[1:], end[1:])
	}
	s.check = func(_ uint64, _ int, it item) error {
		_, _, err := decode(it.key, it.value)
		if err == nil && it.flags != 0 {
			err = wal.Corrupt("it is no record")
		}
		return err
	}
	s.look = func(it item) error {
		key, value := it.key[1:], it.value[sumSize:]
		found.Put(key, value)
		return look(key, value)
	}
	err := s.bucket(b)
	if err == nil && all && headed && found != h {
		t.note(t.at(), fmt.Sprintf("the %d records of partition %.40q do not match its head, which counts %d: some may be older than they were", found.Keys, partition, h.Keys))
	}
	return err
}

// A salvager walks like a walker, and goes on beside what is damaged.
type salvager struct {
	walker
	note       Note
	first, end []byte // bounds; nil is none
	seen       []byte // behind the last key that was whole, and the last range that was lost
	check      func(id uint64, i int, it item) error
	look       func(it item) error // with those that pass
	lost       func(first, end []byte) error
}

func (t *Tree) salvager(ctx context.Context) *salvager {
	return &salvager{walker: walker{ctx: ctx, file: t.file, high: t.high}, note: t.note}
}

// tree walks through a page and all below it, as far as that is within the bounds.
func (s *salvager) tree(id uint64, depth int, first, end []byte) error {
	if s.end != nil && first != nil && bytes.Compare(first, s.end) >= 0 || end != nil && bytes.Compare(end, s.first) <= 0 {
		return nil
	}
	var items []item
	leaf, err := false, wal.Corrupt("page %d is too deep", id)
	if depth < deepest {
		items, leaf, err = s.page(id, depth, first, end)
	}
	switch {
	case context.Cause(s.ctx) != nil:
		return context.Cause(s.ctx)
	case err != nil:
		s.note(int64(id)*pageSize, reasonOf(err))
		if bytes.Compare(s.seen, first) < 0 && depth < deepest {
			if _, _, other := s.page(id, depth, nil, nil); other == nil { // the key that leads there may be damaged
				first = s.seen
			}
		}
		return s.gone(first, end)
	case leaf:
		return s.items(id, items, first, end)
	}
	for i, it := range items {
		from, to := it.key, end
		if i+1 < len(items) {
			to = items[i+1].key
		}
		if err := s.tree(it.child, depth+1, from, to); err != nil {
			return err
		}
	}
	return nil
}

// bucket walks through a bucket.
func (s *salvager) bucket(b bucket) error {
	if b.root == 0 {
		return s.items(b.at, b.items, nil, nil)
	}
	return s.tree(b.root, 0, nil, nil)
}

// items looks at the items of a leaf. The key of a damaged one may be damaged too: all is
// lost between its neighbours.
func (s *salvager) items(id uint64, items []item, first, end []byte) error {
	missing := false
	for i, it := range items {
		if err := s.check(id, i, it); err != nil {
			s.note(int64(id)*pageSize, fmt.Sprintf("element %d of page %d: %s", i, id, reasonOf(err)))
			missing = true
			continue
		}
		if missing {
			if err := s.gone(first, it.key); err != nil {
				return err
			}
		}
		if s.end != nil && bytes.Compare(it.key, s.end) >= 0 {
			return nil
		}
		first, missing = append(bytes.Clone(it.key), 0), false
		s.seen = first
		if bytes.Compare(it.key, s.first) < 0 {
			continue
		}
		if err := s.look(it); err != nil {
			return err
		}
	}
	if missing {
		return s.gone(first, end)
	}
	return nil
}

// gone calls lost with what is within the bounds of a range.
func (s *salvager) gone(first, end []byte) error {
	if bytes.Compare(first, s.first) < 0 {
		first = s.first
	}
	if s.end != nil && (end == nil || bytes.Compare(end, s.end) > 0) {
		end = s.end
	}
	if end != nil && bytes.Compare(first, end) >= 0 {
		return nil
	}
	s.seen = bytes.Clone(end)
	return s.lost(first, end)
}

// reasonOf is the text of an error, without that it is journal.ErrCorrupt.
func reasonOf(err error) string {
	return strings.TrimPrefix(err.Error(), journal.ErrCorrupt.Error()+": ")
}
