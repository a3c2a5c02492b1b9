package pages

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// A stamp says which heads a transaction left, and how far it brought the log. Each
// commit writes it beside the heads.
//
// Without it an older page of the root bucket could stand for the newer one: the
// heads and records that it leads to are whole and agree with each other. The
// transaction's number alone would not do: the heads of many partitions fill several
// pages, and an older page above them may lead to an older head and, where bbolt has
// used a page again, to the newest number.
type stamp struct {
	Tx    uint64         // as in the meta page
	Heads journal.Digest // of all heads, under the keys that they have in their bucket
	Log   wal.Mark       // since version 3
}

const stampSize = 4 + 8 + 4*8 + 24

// encode returns the stamp as it is stored in a file of a version, nil where none is.
func (s stamp) encode(version uint32) []byte {
	if version < stampedVersion {
		return nil
	}
	r, _ := binary.Append(make([]byte, sumSize, stampSize), binary.LittleEndian, s)
	if version < loggedVersion {
		r = r[:stampSize-24]
	}
	binary.LittleEndian.PutUint32(r, wal.Sum(stampKey, r[sumSize:]))
	return r
}

// stamp ends a change: it writes the stamp.
func (f *File) stamp(tx *bbolt.Tx, log wal.Mark) error {
	return tx.Bucket(headsBucket).Put(stampKey, stamp{uint64(tx.ID()), f.heads, log}.encode(formatVersion))
}

// putHead writes a partition's head.
func (f *File) putHead(tx *bbolt.Tx, bucket []byte, h journal.Head) error {
	heads, r := tx.Bucket(headsBucket), encodeHead(bucket, h)
	if old := heads.Get(bucket); old != nil {
		f.heads.Remove(bucket, old)
	}
	f.heads.Add(bucket, r)
	return heads.Put(bucket, r)
}

// eachHead calls look with the key and value of every partition's head.
func eachHead(heads *bbolt.Bucket, look func(bucket, r []byte) error) error {
	return heads.ForEach(func(key, r []byte) error {
		if bytes.Equal(key, formatKey) || bytes.Equal(key, stampKey) {
			return nil
		}
		return look(key, r)
	})
}

// checkHeads returns the format's version and what the stamp should be. It checks that the
// newest transaction left just these heads, which a file of version 1 does not say.
func checkHeads(tx *bbolt.Tx) (version uint32, s stamp, err error) {
	heads := tx.Bucket(headsBucket)
	if heads == nil {
		return 0, s, wal.Corrupt("it is no file of this package")
	}
	if version, err = decodeFormat(heads.Get(formatKey)); err != nil {
		return version, s, err
	}
	stored := heads.Get(stampKey)
	s.Tx = uint64(tx.ID())
	if err := eachHead(heads, func(bucket, r []byte) error {
		s.Heads.Add(bucket, r)
		return nil
	}); err != nil {
		return version, s, err
	}
	if version >= loggedVersion && len(stored) == stampSize {
		_, _ = binary.Decode(stored[stampSize-24:], binary.LittleEndian, &s.Log)
	}
	if !bytes.Equal(stored, s.encode(version)) {
		err = wal.Corrupt("its heads are not those that transaction %d left", tx.ID())
	}
	return version, s, err
}
