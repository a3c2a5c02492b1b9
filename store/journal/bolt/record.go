package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
)

const (
	formatVersion = 1
	formatSize    = 4 + 4
	headSize      = 4 + 3*8 + 4*8
	sumSize       = 4

	// MaxName is how many bytes the name of a partition can have.
	MaxName = bbolt.MaxKeySize - 1

	maxKey   = bbolt.MaxKeySize - 1
	maxValue = 256 << 20
	maxBatch = 512 << 20
)

var (
	headsBucket = []byte("heads") // no partition's bucket, as these begin with a p
	formatKey   = []byte("format")
)

// bucketOf returns the name of a partition's bucket, under which its head stands
// in the bucket of the heads.
func bucketOf(partition string) []byte { return append([]byte{'p'}, partition...) }

// sumOf is the CRC32C of all the parts.
func sumOf(parts ...[]byte) (sum uint32) {
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum
}

func encodeFormat(version uint32) []byte {
	r := binary.LittleEndian.AppendUint32(nil, version)
	return binary.LittleEndian.AppendUint32(r, sumOf(formatKey, r))
}

func checkFormat(r []byte) error {
	if len(r) != formatSize || binary.LittleEndian.Uint32(r[4:]) != sumOf(formatKey, r[:4]) {
		return corrupt("the record of the format is missing or damaged")
	}
	switch version := binary.LittleEndian.Uint32(r); {
	case version > formatVersion:
		return fmt.Errorf("%w: version %d, this one knows %d", journal.ErrNewerFormat, version, formatVersion)
	case version != formatVersion:
		return corrupt("format version %d was never used", version)
	}
	return nil
}

func encodeHead(bucket []byte, h journal.Head) []byte {
	r := make([]byte, sumSize, headSize)
	for _, n := range append([]uint64{h.Epoch, h.Index, h.Keys}, h.Digest[:]...) {
		r = binary.LittleEndian.AppendUint64(r, n)
	}
	binary.LittleEndian.PutUint32(r, sumOf(bucket, r[sumSize:]))
	return r
}

func decodeHead(bucket, r []byte) (h journal.Head, err error) {
	if len(r) != headSize || binary.LittleEndian.Uint32(r) != sumOf(bucket, r[sumSize:]) {
		return h, corrupt("the head of partition %.40q is missing or damaged", bucket[1:])
	}
	number := func(i int) uint64 { return binary.LittleEndian.Uint64(r[sumSize+8*i:]) }
	h.Epoch, h.Index, h.Keys = number(0), number(1), number(2)
	for i := range h.Digest {
		h.Digest[i] = number(3 + i)
	}
	return h, nil
}

// storedKey is what stands for a key in bbolt, which knows no empty ones.
func storedKey(key []byte) []byte { return append([]byte{'k'}, key...) }

func encodeValue(stored, value []byte) []byte {
	r := make([]byte, sumSize, sumSize+len(value))
	binary.LittleEndian.PutUint32(r, sumOf(stored, value))
	return append(r, value...)
}

// decode returns the key and value of a record.
func decode(stored, r []byte) (key, value []byte, err error) {
	if len(stored) == 0 || stored[0] != 'k' || len(r) < sumSize ||
		binary.LittleEndian.Uint32(r) != sumOf(stored, r[sumSize:]) {
		return nil, nil, corrupt("a record is damaged")
	}
	return stored[1:], r[sumSize:], nil
}

// headOf returns the head of a partition, and whether there is one. It agrees
// with whether there is a bucket.
func headOf(tx *bbolt.Tx, bucket []byte) (h journal.Head, data *bbolt.Bucket, err error) {
	heads := tx.Bucket(headsBucket)
	if heads == nil {
		return h, nil, corrupt("it has no heads")
	}
	data = tx.Bucket(bucket)
	r := heads.Get(bucket)
	if data == nil && r == nil {
		return h, nil, nil
	}
	if data == nil {
		return h, nil, corrupt("partition %.40q has a head and no records", bucket[1:])
	}
	h, err = decodeHead(bucket, r)
	return h, data, err
}

// checkPartition looks at every record, and compares them all with the head.
func checkPartition(h journal.Head, data *bbolt.Bucket, stopped func() error) error {
	found := journal.Head{Position: h.Position}
	c := data.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		key, value, err := decode(k, v)
		if err != nil {
			return err
		}
		found.Put(key, value)
		if err := stopped(); err != nil {
			return err
		}
	}
	if found != h {
		return corrupt("its %d records are not the %d that its head is of", found.Keys, h.Keys)
	}
	return nil
}

// checkAll looks at all partitions of a file, and that it has nothing else.
func checkAll(tx *bbolt.Tx, stopped func() error) error {
	heads := tx.Bucket(headsBucket)
	if heads == nil {
		return corrupt("it has no heads")
	}
	if err := checkFormat(heads.Get(formatKey)); err != nil {
		return err
	}
	if err := heads.ForEach(func(name, _ []byte) error {
		if bytes.Equal(name, formatKey) {
			return nil
		}
		h, data, err := headOf(tx, name)
		if err != nil {
			return err
		}
		return checkPartition(h, data, stopped)
	}); err != nil {
		return err
	}
	return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if !bytes.Equal(name, headsBucket) && heads.Get(name) == nil {
			return corrupt("a bucket has no head")
		}
		return nil
	})
}
