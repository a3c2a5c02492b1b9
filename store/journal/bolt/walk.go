package bolt

import (
	"bytes"
	"context"
	"io"
)

const (
	branchFlag, leafFlag = 1, 2
	bucketFlag           = 1 // of an element of a leaf
	elementSize          = 16
	bucketHeader         = 16
)

// A walker looks at all pages that are in use before bbolt does, which takes
// their structure on trust: it maps the file, and a number that is wrong makes it
// panic or fault. What keys and values say is not its business.
type walker struct {
	ctx     context.Context
	file    io.ReaderAt
	high    uint64
	used    []uint64 // a bit per page
	pages   int
	buffers [][]byte // by depth
}

// checkPages walks from the root bucket to every page.
func checkPages(ctx context.Context, file io.ReaderAt, m meta) error {
	w := &walker{ctx: ctx, file: file, high: m.high, used: make([]uint64, m.high/64+1)}
	return w.tree(m.root, 0, nil, nil, true)
}

// tree looks at a page and all below it. The keys are from first, which is nil at
// the root of a tree, to before end, if that is not nil.
func (w *walker) tree(id uint64, depth int, first, end []byte, root bool) error {
	page, err := w.read(id, depth)
	if err != nil {
		return err
	}
	if native.Uint64(page) != id {
		return corrupt("page %d says that it is page %d", id, native.Uint64(page))
	}
	keys, err := w.keys(id, page, first, end)
	if err != nil {
		return err
	}
	if native.Uint16(page[8:]) == leafFlag {
		return w.leaf(id, page, keys, depth, root)
	}
	for i, key := range keys {
		next := end
		if i+1 < len(keys) {
			next = keys[i+1]
		}
		child := native.Uint64(element(page, i)[8:])
		if err := w.tree(child, depth+1, key, next, root); err != nil {
			return err
		}
	}
	return nil
}

// read returns a page with what it overflows to, each seen once.
func (w *walker) read(id uint64, depth int) ([]byte, error) {
	if w.pages++; w.pages%1024 == 0 && w.ctx.Err() != nil {
		return nil, context.Cause(w.ctx)
	}
	if id < 2 || id >= w.high {
		return nil, corrupt("there is no page %d, of %d", id, w.high)
	}
	var header [pageHeader]byte
	if _, err := w.file.ReadAt(header[:], int64(id)*pageSize); err != nil {
		return nil, err
	}
	pages := uint64(native.Uint32(header[12:])) + 1
	if pages > w.high-id {
		return nil, corrupt("page %d has %d pages, and only %d are left", id, pages, w.high-id)
	}
	for at := id; at < id+pages; at++ {
		if w.used[at/64]&(1<<(at%64)) != 0 {
			return nil, corrupt("page %d is in use twice", at)
		}
		w.used[at/64] |= 1 << (at % 64)
	}
	for len(w.buffers) <= depth {
		w.buffers = append(w.buffers, nil)
	}
	if size := int(pages) * pageSize; cap(w.buffers[depth]) < size {
		w.buffers[depth] = make([]byte, size)
	} else {
		w.buffers[depth] = w.buffers[depth][:size]
	}
	_, err := w.file.ReadAt(w.buffers[depth], int64(id)*pageSize)
	return w.buffers[depth], err
}

// element returns that number i of a page, which starts with its numbers. What
// it is about is at a distance from there.
func element(page []byte, i int) []byte { return page[pageHeader+i*elementSize:] }

// keys returns those of a page, and checks that all elements are within it and
// in order.
func (w *walker) keys(id uint64, page, first, end []byte) ([][]byte, error) {
	flags, count := native.Uint16(page[8:]), int(native.Uint16(page[10:]))
	body := pageHeader + count*elementSize
	switch {
	case flags != branchFlag && flags != leafFlag:
		return nil, corrupt("page %d is of no kind that may be there", id)
	case body > len(page):
		return nil, corrupt("page %d has no room for %d elements", id, count)
	case count == 0 && (flags == branchFlag || first != nil):
		return nil, corrupt("page %d is empty", id)
	}
	keys := make([][]byte, count)
	for i := range keys {
		e, value := element(page, i), uint64(0)
		at, key := native.Uint32(e), uint64(native.Uint32(e[4:]))
		if flags == leafFlag {
			at, key, value = native.Uint32(e[4:]), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
		}
		start := uint64(pageHeader+i*elementSize) + uint64(at)
		if start < uint64(body) || start+key+value > uint64(len(page)) || key == 0 {
			return nil, corrupt("element %d of page %d is not within it", i, id)
		}
		keys[i] = page[start : start+key]
		switch {
		case i == 0 && first != nil && !bytes.Equal(keys[0], first),
			i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0,
			end != nil && bytes.Compare(keys[i], end) >= 0:
			return nil, corrupt("element %d of page %d is out of order", i, id)
		}
	}
	return keys, nil
}

// leaf looks into the buckets, which are what the root bucket has, and only that.
func (w *walker) leaf(id uint64, page []byte, keys [][]byte, depth int, root bool) error {
	for i, key := range keys {
		e := element(page, i)
		if !root {
			if native.Uint32(e) != 0 {
				return corrupt("element %d of page %d is no record", i, id)
			}
			continue
		}
		size := int(native.Uint32(e[12:]))
		value := page[offsetOf(page, i)+len(key):][:size]
		if native.Uint32(e) != bucketFlag || size < bucketHeader || native.Uint64(value[8:]) != 0 {
			return corrupt("element %d of page %d is no bucket", i, id)
		}
		if err := w.bucket(id, i, value, depth); err != nil {
			return err
		}
	}
	return nil
}

// offsetOf returns where the key of a leaf's element begins.
func offsetOf(page []byte, i int) int {
	return pageHeader + i*elementSize + int(native.Uint32(element(page, i)[4:]))
}

// bucket looks at the pages of a bucket, or at the one that stands in its place.
func (w *walker) bucket(id uint64, i int, value []byte, depth int) error {
	root, inline := native.Uint64(value), value[bucketHeader:]
	switch {
	case root != 0 && len(inline) == 0:
		return w.tree(root, depth+1, nil, nil, false)
	case root != 0 || len(inline) < pageHeader:
		return corrupt("the bucket in element %d of page %d is neither here nor there", i, id)
	case native.Uint64(inline) != 0 || native.Uint16(inline[8:]) != leafFlag || native.Uint32(inline[12:]) != 0:
		return corrupt("the bucket in element %d of page %d has no page", i, id)
	}
	keys, err := w.keys(id, inline, nil, nil)
	if err != nil {
		return err
	}
	return w.leaf(id, inline, keys, depth, false)
}
