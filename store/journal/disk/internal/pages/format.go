package pages

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

const (
	formatVersion  = 3
	stampedVersion = 2 // from which on a file has a stamp
	loggedVersion  = 3 // and which has the place in the log
	formatSize     = 4 + 4
	headSize       = 4 + 3*8 + 4*8
	sumSize        = 4

	// MaxName is the most bytes that a partition's name can have.
	MaxName = bbolt.MaxKeySize - 1

	// MaxKey is the most bytes that a key can have.
	MaxKey = bbolt.MaxKeySize - 1
)

var (
	headsBucket = []byte("heads") // no partition's, because their names begin with p
	formatKey   = []byte("format")
	stampKey    = []byte("tx")
)

// bucketOf returns the name of a partition's bucket. It is also the key of the
// partition's head.
func bucketOf(partition string) []byte { return append([]byte{'p'}, partition...) }

func encodeFormat(version uint32) []byte {
	r := binary.LittleEndian.AppendUint32(nil, version)
	return binary.LittleEndian.AppendUint32(r, wal.Sum(formatKey, r))
}

// decodeFormat returns the version of a file that this program can read.
func decodeFormat(r []byte) (version uint32, err error) {
	if len(r) != formatSize || binary.LittleEndian.Uint32(r[4:]) != wal.Sum(formatKey, r[:4]) {
		return 0, wal.Corrupt("the format record is missing or damaged")
	}
	switch version = binary.LittleEndian.Uint32(r); {
	case version > formatVersion:
		err = newer(version)
	case version == 0:
		err = wal.Corrupt("format version 0 was never used")
	}
	return version, err
}

func encodeHead(bucket []byte, h journal.Head) []byte {
	r, _ := binary.Append(make([]byte, sumSize, headSize), binary.LittleEndian, h)
	binary.LittleEndian.PutUint32(r, wal.Sum(bucket, r[sumSize:]))
	return r
}

func decodeHead(bucket, r []byte) (h journal.Head, err error) {
	if len(r) != headSize || binary.LittleEndian.Uint32(r) != wal.Sum(bucket, r[sumSize:]) {
		return h, wal.Corrupt("the head of partition %.40q is missing or damaged", bucket[1:])
	}
	_, err = binary.Decode(r[sumSize:], binary.LittleEndian, &h)
	return h, err
}

// storedKey is the key in bbolt, which has no empty keys.
func storedKey(key []byte) []byte { return append([]byte{'k'}, key...) }

func encodeValue(stored, value []byte) []byte {
	r := make([]byte, sumSize, sumSize+len(value))
	binary.LittleEndian.PutUint32(r, wal.Sum(stored, value))
	return append(r, value...)
}

// decode returns the key and value of a record.
func decode(stored, r []byte) (key, value []byte, err error) {
	if len(stored) == 0 || stored[0] != 'k' || len(r) < sumSize ||
		binary.LittleEndian.Uint32(r) != wal.Sum(stored, r[sumSize:]) {
		return nil, nil, wal.Corrupt("a record is damaged")
	}
	return stored[1:], r[sumSize:], nil
}

// headOf returns a partition's head and its records, nil if there is no such
// partition.
func headOf(tx *bbolt.Tx, bucket []byte) (h journal.Head, records *bbolt.Bucket, err error) {
	records = tx.Bucket(bucket)
	r := tx.Bucket(headsBucket).Get(bucket)
	switch {
	case records == nil && r == nil:
		return h, nil, nil
	case records == nil:
		return h, nil, wal.Corrupt("partition %.40q has a head but no records", bucket[1:])
	}
	h, err = decodeHead(bucket, r)
	return h, records, err
}

// visit calls look with every record of a partition, in ascending order of the
// keys.
func visit(ctx context.Context, records *bbolt.Bucket, look func(key, value []byte) error) error {
	c := records.Cursor()
	for stored, r := c.First(); stored != nil; stored, r = c.Next() {
		key, value, err := decode(stored, r)
		if err != nil {
			return err
		}
		if err := look(key, value); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// checkPartition is headOf, and compares all records with the head.
func checkPartition(ctx context.Context, tx *bbolt.Tx, bucket []byte) (journal.Head, *bbolt.Bucket, error) {
	h, records, err := headOf(tx, bucket)
	if err != nil || records == nil {
		return h, nil, err
	}
	found := journal.Head{Position: h.Position}
	err = visit(ctx, records, func(key, value []byte) error {
		found.Put(key, value)
		return nil
	})
	if err == nil && found != h {
		err = wal.Corrupt("its %d records do not match its head, which counts %d", found.Keys, h.Keys)
	}
	if err != nil {
		err = fmt.Errorf("partition %.40q: %w", bucket[1:], err)
	}
	return h, records, err
}

// checkAll checks all partitions of a file, and that it holds nothing else.
func checkAll(ctx context.Context, tx *bbolt.Tx) error {
	if _, _, err := checkHeads(tx); err != nil {
		return err
	}
	heads := tx.Bucket(headsBucket)
	if err := eachHead(heads, func(name, _ []byte) error {
		_, _, err := checkPartition(ctx, tx, name)
		return err
	}); err != nil {
		return err
	}
	return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if !bytes.Equal(name, headsBucket) && heads.Get(name) == nil {
			return wal.Corrupt("a bucket has no head")
		}
		return nil
	})
}
