package pages

import (
	"bytes"
	"context"
	"io"
	"slices"

	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

const (
	branchFlag, leafFlag = 1, 2
	bucketFlag           = 1 // of an element of a leaf
	elementSize          = 16
	bucketHeader         = 16
)

// A walker checks all pages that are in use before bbolt reads them. bbolt maps the
// file and trusts its structure: a wrong number makes it panic or fault. What keys
// and values hold is not checked here.
type walker struct {
	ctx     context.Context
	file    io.ReaderAt
	high    uint64
	used    []uint64 // a bit per page; nil if a page may be read again
	buffers [][]byte // by depth
	items   [][]item // likewise
}

// An item is an element of a page. Of a branch it has a key and a child, of a leaf
// the others. It shares the page's bytes.
type item struct {
	key, value []byte
	flags      uint32
	child      uint64 // the number of a page
}

// checkPages walks from the root bucket to every page.
func checkPages(ctx context.Context, file io.ReaderAt, m meta) error {
	w := &walker{ctx: ctx, file: file, high: m.high, used: make([]uint64, m.high/64+1)}
	return w.tree(m.root, 0, nil, nil, true)
}

// tree checks a page and all below it. Its keys begin with first and end before
// end; nil is no bound.
func (w *walker) tree(id uint64, depth int, first, end []byte, root bool) error {
	items, leaf, err := w.page(id, depth, first, end)
	if err != nil {
		return err
	}
	if leaf {
		return w.leaf(id, items, depth, root)
	}
	for i, it := range items {
		next := end
		if i+1 < len(items) {
			next = items[i+1].key
		}
		if err := w.tree(it.child, depth+1, it.key, next, root); err != nil {
			return err
		}
	}
	return nil
}

// page checks one page, and returns its items. They stay until the next page of that depth.
func (w *walker) page(id uint64, depth int, first, end []byte) (items []item, leaf bool, err error) {
	page, err := w.read(id, depth)
	if err != nil {
		return nil, false, err
	}
	if native.Uint64(page) != id {
		return nil, false, wal.Corrupt("page %d says that it is page %d", id, native.Uint64(page))
	}
	if items, err = itemsOf(id, page, first, end, w.items[depth]); err != nil {
		return nil, false, err
	}
	w.items[depth] = items
	return items, native.Uint16(page[8:]) == leafFlag, nil
}

// read returns a page with its overflow pages, and marks all of them as used.
func (w *walker) read(id uint64, depth int) ([]byte, error) {
	if err := context.Cause(w.ctx); err != nil {
		return nil, err
	}
	if id < 2 || id >= w.high {
		return nil, wal.Corrupt("there is no page %d, of %d", id, w.high)
	}
	var header [pageHeader]byte
	if _, err := w.file.ReadAt(header[:], int64(id)*pageSize); err != nil {
		return nil, err
	}
	pages := uint64(native.Uint32(header[12:])) + 1
	if pages > w.high-id {
		return nil, wal.Corrupt("page %d has %d pages, but only %d are left", id, pages, w.high-id)
	}
	if int64(pages)*pageSize > largestPage {
		return nil, wal.Unsupported("page %d has %d bytes, and %d can be mapped", id, int64(pages)*pageSize, largestPage)
	}
	for at := id; at < id+pages && w.used != nil; at++ {
		if w.used[at/64]&(1<<(at%64)) != 0 {
			return nil, wal.Corrupt("page %d is in use twice", at)
		}
		w.used[at/64] |= 1 << (at % 64)
	}
	if len(w.buffers) == depth {
		w.buffers, w.items = append(w.buffers, nil), append(w.items, nil)
	}
	size := int(pages) * pageSize
	if cap(w.buffers[depth]) < size {
		w.buffers[depth] = make([]byte, size)
	}
	page := w.buffers[depth][:size]
	_, err := w.file.ReadAt(page, int64(id)*pageSize)
	return page, err
}

// itemsOf returns the items of a page, and checks that they are within it and in
// order. It may use the room of items that are not needed any more.
func itemsOf(id uint64, page, first, end []byte, room []item) ([]item, error) {
	flags, count := native.Uint16(page[8:]), int(native.Uint16(page[10:]))
	body := pageHeader + count*elementSize
	switch {
	case flags != branchFlag && flags != leafFlag:
		return nil, wal.Corrupt("page %d is of no kind that may be there", id)
	case body > len(page):
		return nil, wal.Corrupt("page %d has no room for %d elements", id, count)
	case count == 0 && (flags == branchFlag || first != nil):
		return nil, wal.Corrupt("page %d is empty", id)
	}
	items := slices.Grow(room[:0], count)[:count]
	for i := range items {
		it, head := &items[i], pageHeader+i*elementSize
		*it = item{}
		e := page[head:]
		at, size, rest := native.Uint32(e), uint64(native.Uint32(e[4:])), uint64(0)
		if flags == leafFlag {
			it.flags = at
			at, size, rest = native.Uint32(e[4:]), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
		} else {
			it.child = native.Uint64(e[8:])
		}
		start := uint64(head) + uint64(at)
		switch {
		case start < uint64(body) || start+size+rest > uint64(len(page)) || size == 0:
			return nil, wal.Corrupt("element %d of page %d is not within it", i, id)
		case i == 0 && start != uint64(body): // bbolt leaves no gap
			return nil, wal.Corrupt("page %d has more elements than the %d that it counts", id, count)
		}
		it.key, it.value = page[start:start+size], page[start+size:start+size+rest]
		switch {
		case i == 0 && first != nil && !bytes.Equal(it.key, first),
			i > 0 && bytes.Compare(items[i-1].key, it.key) >= 0,
			end != nil && bytes.Compare(it.key, end) >= 0:
			return nil, wal.Corrupt("element %d of page %d is out of order", i, id)
		}
	}
	return items, nil
}

// leaf checks that the root bucket has only buckets, and every other only records.
func (w *walker) leaf(id uint64, items []item, depth int, root bool) error {
	for i, it := range items {
		switch {
		case !root && it.flags != 0:
			return wal.Corrupt("element %d of page %d is no record", i, id)
		case !root:
			continue
		case it.flags != bucketFlag || len(it.value) < bucketHeader || native.Uint64(it.value[8:]) != 0:
			return wal.Corrupt("element %d of page %d is no bucket", i, id)
		}
		if err := w.bucket(id, i, it.value, depth); err != nil {
			return err
		}
	}
	return nil
}

// bucket checks the pages of a bucket, or the one page within its element.
func (w *walker) bucket(id uint64, i int, value []byte, depth int) error {
	root, items, err := bucketIn(id, i, value)
	switch {
	case err != nil:
		return err
	case root != 0:
		return w.tree(root, depth+1, nil, nil, false)
	}
	return w.leaf(id, items, depth, false)
}

// bucketIn returns the root page of the bucket in an element, or, if that is 0, the items of
// the page within the element.
func bucketIn(id uint64, i int, value []byte) (root uint64, items []item, err error) {
	root, inline := native.Uint64(value), value[bucketHeader:]
	switch {
	case root != 0 && len(inline) == 0:
		return root, nil, nil
	case root != 0 || len(inline) < pageHeader:
		return 0, nil, wal.Corrupt("the bucket in element %d of page %d is neither here nor there", i, id)
	case native.Uint64(inline) != 0 || native.Uint16(inline[8:]) != leafFlag || native.Uint32(inline[12:]) != 0:
		return 0, nil, wal.Corrupt("the bucket in element %d of page %d has no page", i, id)
	}
	items, err = itemsOf(id, inline, nil, nil, nil)
	return 0, items, err
}

// find returns what stands under a key below a page, or nil. It asks no more of the pages
// than that they lead there: the file may be of another version.
func find(r io.ReaderAt, id uint64, key []byte) []byte {
	const deepest, largest = 64, 256 // levels, and pages of one; damage may lead round
	for range deepest {
		header := make([]byte, pageHeader)
		if _, err := r.ReadAt(header, int64(id)*pageSize); id < 2 || id > 1<<40 || err != nil {
			return nil
		}
		page := make([]byte, min(native.Uint32(header[12:]), largest-1)*pageSize+pageSize)
		if _, err := r.ReadAt(page, int64(id)*pageSize); err != nil {
			return nil
		}
		it, leaf, found := lookUp(id, page, key)
		switch {
		case !found:
			return nil
		case leaf:
			return it.value
		}
		id = it.child
	}
	return nil
}

// lookUp returns the item of a page that has a key, or leads to it.
func lookUp(id uint64, page, key []byte) (it item, leaf, found bool) {
	items, err := itemsOf(id, page, nil, nil, nil)
	if err != nil {
		return it, false, false
	}
	at, found := slices.BinarySearchFunc(items, key, func(it item, key []byte) int { return bytes.Compare(it.key, key) })
	leaf = native.Uint16(page[8:]) == leafFlag
	if !found && !leaf {
		at, found = at-1, at > 0
	}
	if !found {
		return it, leaf, false
	}
	return items[at], leaf, true
}
