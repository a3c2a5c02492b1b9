package pages

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// native is the byte order of all that bbolt writes.
var native = binary.NativeEndian

const (
	pageSize   = 4096
	pageHeader = 16

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	noFreelist  = ^uint64(0)

	sealOffset = 512 // in a meta page, in a sector of its own
	sealMagic  = "loopseal"
	sealSize   = 28
	sealSize1  = 20 // in version 1

	sealedVersion = 2 // the last that has seals
)

// A meta is the content of a meta page of bbolt. A file has two meta pages, and
// transactions write them in turn.
type meta struct {
	root   uint64 // page of the root bucket
	high   uint64 // pages from here on are not in use
	txid   uint64
	sealed uint32 // the file is of this version at least, by its seal; 0 without one
}

// parseMeta reads a meta page. valid says whether its sum is right.
func parseMeta(page []byte) (m meta, version uint32, valid bool) {
	body := page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(body[:56])
	version = native.Uint32(body[4:])
	valid = native.Uint32(body) == metaMagic && native.Uint64(body[56:]) == sum.Sum64()
	return meta{
		root: native.Uint64(body[16:]),
		high: native.Uint64(body[40:]),
		txid: native.Uint64(body[48:]),
	}, version, valid
}

// sealOf returns the seal of a committed transaction in a file of version 2. Since version
// 3 there are none: the log tells what a lost meta page has reached. It stands on the meta page
// that the transaction did not write, until the next transaction writes that.
func sealOf(txid uint64) []byte {
	s := binary.LittleEndian.AppendUint64([]byte(sealMagic), txid)
	s = binary.LittleEndian.AppendUint32(s, wal.Sum(s)) // the end of it in version 1
	s = binary.LittleEndian.AppendUint32(s, sealedVersion)
	return binary.LittleEndian.AppendUint32(s, wal.Sum(s))
}

// parseSeal returns the transaction of a page's seal, and the version of the format
// that it wrote; 0 if there is no seal.
func parseSeal(page []byte) (txid uint64, version uint32) {
	s := page[sealOffset : sealOffset+sealSize]
	txid = binary.LittleEndian.Uint64(s[8:])
	switch want := sealOf(txid); {
	case bytes.Equal(s, want):
		return txid, sealedVersion
	case bytes.Equal(s[:sealSize1], want[:sealSize1]):
		return txid, 1
	}
	return 0, 0
}

// checkVersion refuses a file of a later version than this program knows, before anything
// else of it is judged: of such a file nothing is known, not even what is damage. It says
// nothing of a file whose version it does not find.
func checkVersion(r io.ReaderAt) error {
	for at := range int64(2) {
		page := make([]byte, pageSize)
		if _, err := r.ReadAt(page, at*pageSize); err != nil {
			return nil
		}
		version := formatOf(r, page)
		s := page[sealOffset : sealOffset+sealSize]
		if bytes.HasPrefix(s, []byte(sealMagic)) && binary.LittleEndian.Uint32(s[24:]) == wal.Sum(s[:24]) {
			version = max(version, binary.LittleEndian.Uint32(s[sealSize1:]))
		}
		if version > formatVersion {
			return newer(version)
		}
	}
	return nil
}

func newer(version uint32) error {
	return fmt.Errorf("%w: version %d, this program knows %d", journal.ErrNewerFormat, version, formatVersion)
}

// formatOf returns the version in the format record that a meta page leads to, 0 if it
// leads to none.
func formatOf(r io.ReaderAt, page []byte) uint32 {
	m, _, valid := parseMeta(page)
	if !valid {
		return 0
	}
	heads := find(r, m.root, headsBucket)
	if len(heads) < bucketHeader {
		return 0
	}
	var record []byte
	if inline := heads[bucketHeader:]; len(inline) >= pageHeader {
		it, _, _ := lookUp(0, inline, formatKey)
		record = it.value
	} else {
		record = find(r, native.Uint64(heads), formatKey)
	}
	if len(record) != formatSize || binary.LittleEndian.Uint32(record[4:]) != wal.Sum(formatKey, record[:4]) {
		return 0
	}
	return binary.LittleEndian.Uint32(record)
}

// checkMetas returns the newest meta. It fails if a newer one was committed and is
// damaged.
func checkMetas(r io.ReaderAt, size int64) (meta, error) {
	var pages [2 * pageSize]byte
	if size < int64(len(pages)) {
		return meta{}, wal.Corrupt("it has %d bytes, less than its header", size)
	}
	if _, err := r.ReadAt(pages[:], 0); err != nil {
		return meta{}, err
	}
	var newest meta
	found, known := 0, false
	for i := range uint64(2) {
		page := pages[i*pageSize:][:pageSize]
		if err := sameOrder(page); err != nil {
			return meta{}, err
		}
		known = known || native.Uint32(page[pageHeader:]) == metaMagic
		m, version, valid := parseMeta(page)
		switch {
		case !valid:
			continue
		case version > metaVersion:
			return meta{}, fmt.Errorf("%w: version %d of bbolt's format, this program knows %d", journal.ErrNewerFormat, version, metaVersion)
		case version < metaVersion || native.Uint32(page[pageHeader+8:]) != pageSize || m.txid%2 != i:
			return meta{}, wal.Corrupt("meta page %d is of another kind of file", i)
		case found > 0 && m.txid+1 != newest.txid && m.txid != newest.txid+1:
			return meta{}, wal.Corrupt("the meta pages are of transactions %d and %d", newest.txid, m.txid)
		}
		if found++; m.txid >= newest.txid {
			newest = m
		}
	}
	sealed, version := parseSeal(pages[:pageSize])
	other, otherVersion := parseSeal(pages[pageSize:])
	sealed, newest.sealed = max(sealed, other), max(version, otherVersion)
	switch {
	case !known:
		return meta{}, wal.Corrupt("it is not a file of bbolt")
	case found == 0:
		return meta{}, wal.Corrupt("both meta pages are damaged")
	case sealed > newest.txid:
		return meta{}, wal.Corrupt("the meta page of transaction %d, which was committed, is damaged or stale", sealed)
	case newest.high < 4 || newest.high > uint64(size)/pageSize:
		return meta{}, wal.Corrupt("it has %d bytes, and should have %d pages of %d", size, newest.high, pageSize)
	case native.Uint64(pages[newest.txid%2*pageSize+pageHeader+32:]) != noFreelist:
		return meta{}, wal.Corrupt("it has a list of free pages")
	}
	return newest, nil
}
