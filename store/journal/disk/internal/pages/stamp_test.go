package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

// newest returns the transaction of the newest meta page, and its root page.
func (s snapshot) newest() (txid, root uint64) {
	for _, page := range [][]byte{s[:4096], s[4096:8192]} {
		if m, _, valid := parseMeta(page); valid && m.txid >= txid {
			txid, root = m.txid, m.root
		}
	}
	return txid, root
}

// page returns a page without its number.
func (s snapshot) page(id uint64) []byte { return s[id*4096+8:][:4088] }

// withRootOf returns the file with an older root page in the place of its own, and
// whether that differs.
func (s snapshot) withRootOf(older snapshot) (snapshot, bool) {
	_, from := older.newest()
	_, to := s.newest()
	spoilt := slices.Clone(s)
	copy(spoilt.page(to), older.page(from))
	return spoilt, !slices.Equal(spoilt, s)
}

// What an older root page leads to agrees with itself: the heads and records of a
// small file are within that page, and those of a large one may still be where they
// were.
func TestAnOlderRootPageIsFound(t *testing.T) {
	for _, c := range []struct{ partitions, bytes, rounds int }{
		{1, 10, 20},    // all is within the root page
		{2, 10, 20},    // the same, as with a partition beside
		{2, 2000, 20},  // the records are not
		{50, 2000, 60}, // nor are the heads, which fill several pages
		{100, 10, 60},  // the root bucket fills several pages itself
	} {
		t.Run(fmt.Sprintf("partitions=%d/bytes=%d", c.partitions, c.bytes), func(t *testing.T) {
			f := created(t)
			for i := range c.partitions {
				f.put(fmt.Sprintf("%03d", i), "key", strings.Repeat("v", c.bytes))
			}
			var snapshots []snapshot
			for round := range c.rounds {
				f.put(fmt.Sprintf("%03d", round*7%c.partitions), "key", fmt.Sprint(round)+strings.Repeat("v", c.bytes))
				snapshots = append(snapshots, f.snapshot())
			}
			found, harmless := 0, 0
			for n, newer := range snapshots {
				if n < len(snapshots)-1 && n%10 != 9 {
					continue
				}
				want, mark, err := read(t, newer.write(t))
				require.NoError(t, err)
				for k, older := range snapshots[:n] {
					file, differs := newer.withRootOf(older)
					if !differs {
						continue
					}
					got, reached, err := read(t, file.write(t))
					if err == nil { // it may lead to the newest pages
						require.True(t, want.equal(got), "the root page of commit %d, in the place of that of %d", k, n)
						require.Equal(t, mark, reached)
						harmless++
						continue
					}
					require.ErrorIs(t, err, journal.ErrCorrupt)
					found++
				}
			}
			require.NotZero(t, found)
			t.Logf("%d were found, %d made no difference", found, harmless)
		})
	}
}

// changed changes a file with bbolt, and returns it.
func changed(t testing.TB, s snapshot, change func(*bbolt.Tx) error) snapshot {
	t.Helper()
	path := s.write(t)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: pageSize, NoFreelistSync: true})
	require.NoError(t, err)
	require.NoError(t, db.Update(change))
	require.NoError(t, db.Close())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	return after
}

// restamped changes a file with bbolt, and writes the stamp of the transaction with what the
// stamp before said of the heads.
func restamped(t testing.TB, s snapshot, change func(*bbolt.Tx) error) snapshot {
	return changed(t, s, func(tx *bbolt.Tx) error {
		heads := tx.Bucket(headsBucket)
		r := slices.Clone(heads.Get(stampKey))
		binary.LittleEndian.PutUint64(r[sumSize:], uint64(tx.ID()))
		binary.LittleEndian.PutUint32(r, wal.Sum(stampKey, r[sumSize:]))
		return errors.Join(heads.Put(stampKey, r), change(tx))
	})
}

// An older root page may lead to an older head and to the newest stamp, where bbolt
// has used pages again: the heads of many partitions fill several. The test puts them
// together itself.
func TestAnOlderHeadBesideTheNewestStampIsFound(t *testing.T) {
	f := created(t)
	var heads [][]byte
	for _, value := range []string{"old", "new"} {
		f.put("p", "key", value)
		require.NoError(t, f.view(func(tx *bbolt.Tx) error {
			heads = append(heads, slices.Clone(tx.Bucket(headsBucket).Get(bucketOf("p"))))
			return nil
		}))
	}
	rewritten := func(head []byte, value string) snapshot {
		return restamped(t, f.snapshot(), func(tx *bbolt.Tx) error {
			stored := storedKey([]byte("key"))
			return errors.Join(
				tx.Bucket(headsBucket).Put(bucketOf("p"), head),
				tx.Bucket(bucketOf("p")).Put(stored, encodeValue(stored, []byte(value))),
			)
		})
	}
	got, _, err := read(t, rewritten(heads[1], "new").write(t))
	require.NoError(t, err)
	require.Equal(t, holding{"p": {"key": "new"}}, got)
	_, _, err = read(t, rewritten(heads[0], "old").write(t))
	require.ErrorIs(t, err, journal.ErrCorrupt)
	require.ErrorContains(t, err, "its heads are not those")
}

// What bbolt itself has no objection to is found, too: records that are lost, doubled or out of
// date, and buckets that nobody made.
func TestRecordsThatDoNotBelong(t *testing.T) {
	f := fill(t)
	whole := f.snapshot()
	p, heads := bucketOf("p"), headsBucket
	key := storedKey([]byte("key 001"))
	for name, change := range map[string]func(tx *bbolt.Tx) error{
		"a record is lost":  func(tx *bbolt.Tx) error { return tx.Bucket(p).Delete(key) },
		"one is added":      func(tx *bbolt.Tx) error { return tx.Bucket(p).Put([]byte("kx"), encodeValue([]byte("kx"), nil)) },
		"one is another's":  func(tx *bbolt.Tx) error { return tx.Bucket(p).Put(key, tx.Bucket(p).Get(storedKey([]byte("key 002")))) },
		"one has no sum":    func(tx *bbolt.Tx) error { return tx.Bucket(p).Put(key, []byte("x")) },
		"a key is none":     func(tx *bbolt.Tx) error { return tx.Bucket(p).Put([]byte("x"), []byte("xxxx")) },
		"a bucket is added": func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("px")); return err },
		"another bucket":    func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("mine")); return err },
		"a bucket is lost":  func(tx *bbolt.Tx) error { return tx.DeleteBucket(p) },
		"no heads":          func(tx *bbolt.Tx) error { return tx.DeleteBucket(heads) },
		"a head is lost":    func(tx *bbolt.Tx) error { return tx.Bucket(heads).Delete(p) },
		"a head is short":   func(tx *bbolt.Tx) error { return tx.Bucket(heads).Put(p, []byte("x")) },
		"no format":         func(tx *bbolt.Tx) error { return tx.Bucket(heads).Delete(formatKey) },
		"version 0":         func(tx *bbolt.Tx) error { return tx.Bucket(heads).Put(formatKey, encodeFormat(0)) },
		"version 2":         func(tx *bbolt.Tx) error { return tx.Bucket(heads).Put(formatKey, encodeFormat(2)) },
		"no stamp":          func(tx *bbolt.Tx) error { return tx.Bucket(heads).Delete(stampKey) },
		"a bucket within":   func(tx *bbolt.Tx) error { _, err := tx.Bucket(p).CreateBucket([]byte("x")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(t, restamped(t, whole, change).write(t))
			require.ErrorIs(t, err, journal.ErrCorrupt)
		})
	}
	_, _, err := read(t, changed(t, whole, func(*bbolt.Tx) error { return nil }).write(t))
	require.ErrorIs(t, err, journal.ErrCorrupt, "a transaction that is not ours")
	_, _, err = read(t, restamped(t, whole, func(*bbolt.Tx) error { return nil }).write(t))
	require.NoError(t, err)
}

// foreign writes a file with bbolt.
func foreign(t *testing.T, opts bbolt.Options, change func(*bbolt.Tx) error) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	db, err := bbolt.Open(path, 0o600, &opts)
	require.NoError(t, err)
	require.NoError(t, db.Update(change))
	require.NoError(t, db.Close())
	return path
}

// ours are the options of this package's files.
var ours = bbolt.Options{PageSize: pageSize, NoFreelistSync: true}

func formatRecord(version uint32) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		heads, err := tx.CreateBucket(headsBucket)
		return errors.Join(err, heads.Put(formatKey, encodeFormat(version)))
	}
}

func TestOtherFormats(t *testing.T) {
	empty := func(*bbolt.Tx) error { return nil }
	open := func(path string) error { _, _, err := read(t, path); return err }
	require.ErrorIs(t, open(foreign(t, bbolt.Options{}, empty)), journal.ErrCorrupt)
	require.ErrorIs(t, open(foreign(t, ours, empty)), journal.ErrCorrupt)
	require.ErrorIs(t, open(foreign(t, bbolt.Options{PageSize: 8192}, empty)), journal.ErrCorrupt)
	require.ErrorIs(t, open(foreign(t, ours, formatRecord(0))), journal.ErrCorrupt)
	require.ErrorIs(t, open(foreign(t, ours, formatRecord(2))), journal.ErrCorrupt, "it has no stamp")
	require.ErrorIs(t, open(foreign(t, ours, formatRecord(3))), journal.ErrCorrupt, "it has no stamp")
	require.ErrorIs(t, open(foreign(t, ours, formatRecord(4))), journal.ErrNewerFormat)
	require.NoError(t, open(foreign(t, ours, formatRecord(1))))
}

// An older version is for reading alone.
func TestAnOlderVersionIsNotWrittenTo(t *testing.T) {
	path := foreign(t, ours, formatRecord(1))
	dir, err := os.Open(filepath.Dir(path))
	require.NoError(t, err)
	_, err = Open(t.Context(), path, dir, 0)
	require.ErrorIs(t, err, journal.ErrCorrupt)
	require.NoError(t, dir.Close())
}

// Of a file of a later version nothing else is judged, and nothing is written to it.
func TestTheVersionIsReadFirst(t *testing.T) {
	many := func(tx *bbolt.Tx) error {
		for i := range 1000 {
			if _, err := tx.CreateBucket(fmt.Appendf(nil, "a bucket of a later version %0100d", i)); err != nil {
				return err
			}
		}
		return formatRecord(4)(tx)
	}
	sealed := foreign(t, ours, formatRecord(1))
	seal := binary.LittleEndian.AppendUint64([]byte(sealMagic), 2)
	for _, version := range [][]byte{nil, {4, 0, 0, 0}} {
		seal = append(seal, version...)
		seal = binary.LittleEndian.AppendUint32(seal, wal.Sum(seal))
	}
	patch(t, sealed, sealOffset, seal)
	for name, path := range map[string]string{
		"its seal says so":            sealed,
		"it has a list of free pages": foreign(t, bbolt.Options{PageSize: pageSize}, formatRecord(4)),
		"it has many buckets":         foreign(t, ours, many),
		"its heads fill pages": foreign(t, bbolt.Options{PageSize: pageSize}, func(tx *bbolt.Tx) error {
			err := formatRecord(4)(tx)
			for i := range 1000 {
				err = errors.Join(err, tx.Bucket(headsBucket).Put(fmt.Appendf(nil, "%0100d", i), []byte("?")))
			}
			return err
		}),
	} {
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		_, _, err = read(t, path)
		require.ErrorIs(t, err, journal.ErrNewerFormat, name)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, before, after, name)
	}
}

func patch(t testing.TB, path string, at int64, b []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(b, at)
	require.NoError(t, errors.Join(err, file.Close()))
}

// A file of version 1 or 2 has a seal for its newest meta page: that page is not lost without
// being missed.
func TestTheNewestMetaPageOfAnOldFile(t *testing.T) {
	for _, name := range []string{"journal-v1", "journal-v2"} {
		whole, err := os.ReadFile(filepath.Join("..", "..", "testdata", name))
		require.NoError(t, err)
		if native.Uint16([]byte{1, 0}) != 1 {
			t.Skip("the file is in the byte order of other machines")
		}
		txid, _ := snapshot(whole).newest()
		_, _, err = read(t, snapshot(whole).write(t))
		require.NoError(t, err)
		spoilt := slices.Clone(snapshot(whole))
		clear(spoilt[txid%2*4096+16:][:64])
		_, _, err = read(t, spoilt.write(t))
		require.ErrorIs(t, err, journal.ErrCorrupt)
		require.ErrorContains(t, err, fmt.Sprintf("transaction %d, which was committed", txid))
	}
	// Pages of version 1 in a file that was sealed in version 2 are from before.
	path := foreign(t, ours, formatRecord(1))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	txid, _ := snapshot(whole).newest()
	patch(t, path, int64((txid+1)%2*pageSize+sealOffset), sealOf(txid))
	_, _, err = read(t, path)
	require.ErrorIs(t, err, journal.ErrCorrupt)
	require.ErrorContains(t, err, "version 1")
}

// Each write leaves a file that can be read: the stamp is always right.
func TestTheStampIsAlwaysRight(t *testing.T) {
	f := created(t)
	want := holding{}
	check := func(what string) {
		t.Helper()
		got, mark, err := read(t, f.snapshot().write(t))
		require.NoError(t, err, what)
		require.True(t, want.equal(got), what)
		require.Equal(t, f.mark, mark, what)
	}
	check("it is new")
	for i := range 20 {
		for _, partition := range []string{"p", "", "q"} {
			key, value := fmt.Sprint(i), strings.Repeat("v", 10_000)
			f.put(partition, key, value)
			if want[partition] == nil {
				want[partition] = map[string]string{}
			}
			want[partition][key] = value
		}
		check("the file grows")
	}
	f.remove("p", "none")
	check("a batch that changes nothing")
	for i := range 15 {
		for partition := range want {
			f.remove(partition, fmt.Sprint(i))
			delete(want[partition], fmt.Sprint(i))
		}
	}
	check("much is deleted")
	free, size, err := f.Waste()
	require.NoError(t, err)
	require.Greater(t, free, size/4)
	require.NoError(t, f.Rewrite(t.Context()))
	check("it is written anew")
	smaller := len(f.snapshot())
	require.Less(t, smaller, int(size))
	f.put("p", "after", "1")
	want["p"]["after"] = "1"
	check("a batch after that")
}
