package bolt

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
)

// A stamp says which heads a transaction left. Each commit writes it beside them.
//
// Without it an older page of the root bucket could stand for the newer one: the
// heads and records that it leads to are whole and agree with each other. The
// transaction's number alone would not do: the heads of many partitions fill several
// pages, and an older page above them may lead to an older head and, where bbolt has
// used a page again, to the newest number.
type stamp struct {
	Tx    uint64         // as in the meta page
	Heads journal.Digest // of all heads, under the keys that they have in their bucket
}

func encodeStamp(s stamp) []byte {
	r, _ := binary.Append(make([]byte, sumSize, stampSize), binary.LittleEndian, s)
	binary.LittleEndian.PutUint32(r, sumOf(stampKey, r[sumSize:]))
	return r
}

// stamp ends a change: it writes the format and the stamp. A file of an older version
// becomes one of this version.
func (f *file) stamp(tx *bbolt.Tx) error {
	heads, format := tx.Bucket(headsBucket), encodeFormat(formatVersion)
	if !bytes.Equal(heads.Get(formatKey), format) { // its page may be another than the stamp's
		if err := heads.Put(formatKey, format); err != nil {
			return err
		}
	}
	return heads.Put(stampKey, encodeStamp(stamp{uint64(tx.ID()), f.heads}))
}

// putHead writes a partition's head.
func (f *file) putHead(tx *bbolt.Tx, bucket []byte, h journal.Head) error {
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

// checkHeads returns the format's version and the digest of all heads. It checks that
// the newest transaction left just these, which a file of version 1 does not say.
func checkHeads(tx *bbolt.Tx) (version uint32, all journal.Digest, err error) {
	heads := tx.Bucket(headsBucket)
	if heads == nil {
		return 0, all, corrupt("it is no file of this package")
	}
	if version, err = decodeFormat(heads.Get(formatKey)); err != nil {
		return version, all, err
	}
	if err := eachHead(heads, func(bucket, r []byte) error {
		all.Add(bucket, r)
		return nil
	}); err != nil {
		return version, all, err
	}
	var want []byte
	if version >= stampedVersion {
		want = encodeStamp(stamp{uint64(tx.ID()), all})
	}
	if !bytes.Equal(heads.Get(stampKey), want) {
		err = corrupt("its heads are not those that transaction %d left", tx.ID())
	}
	return version, all, err
}
