package bolt_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/bolt"
)

// A snapshot is a file's bytes after a commit.
type snapshot []byte

func snapshotAt(t *testing.T, path string) snapshot {
	t.Helper()
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	return whole
}

// meta returns the transaction of the newest meta page, and its root page.
func (s snapshot) meta() (txid, root uint64) {
	for _, page := range [][]byte{s[:4096], s[4096:8192]} {
		if tx := binary.NativeEndian.Uint64(page[16+48:]); tx >= txid {
			txid, root = tx, binary.NativeEndian.Uint64(page[16+16:])
		}
	}
	return txid, root
}

// page returns a page without its number.
func (s snapshot) page(id uint64) []byte { return s[id*4096+8:][:4088] }

// withRootOf returns the file with an older root page in the place of its own, and
// whether that differs.
func (s snapshot) withRootOf(older snapshot) (snapshot, bool) {
	_, from := older.meta()
	_, to := s.meta()
	spoilt := slices.Clone(s)
	copy(spoilt.page(to), older.page(from))
	return spoilt, !slices.Equal(spoilt, s)
}

// read returns what stands in all partitions of a file.
func read(t *testing.T, path string) (map[string]contents, error) {
	t.Helper()
	names, err := bolt.Partitions(t.Context(), path, bolt.Options{})
	if err != nil {
		return nil, err
	}
	all := map[string]contents{}
	for _, name := range names {
		all[name] = contents{}
		if _, err := bolt.Read(t.Context(), path, name, bolt.Options{}, func(c journal.Change) error {
			all[name][string(c.Key)] = string(c.Value)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// What an older root page leads to agrees with itself: the heads and records of a
// small file are within that page, and those of a large one may still be where they
// were.
func TestAnOlderRootPageIsFound(t *testing.T) {
	for _, c := range []struct{ partitions, bytes, rounds int }{
		{1, 10, 20},     // all is within the root page
		{2, 10, 20},     // the same, as with a partition beside
		{2, 2000, 20},   // the records are not
		{50, 2000, 100}, // nor are the heads, which fill several pages
		{100, 10, 100},  // the root bucket fills several pages itself
	} {
		t.Run(fmt.Sprintf("partitions=%d/bytes=%d", c.partitions, c.bytes), func(t *testing.T) {
			if testing.Short() {
				c.rounds = min(c.rounds, 30)
			}
			dir := t.TempDir()
			path, spoilt := filepath.Join(dir, "journal"), filepath.Join(dir, "spoilt")
			e := bolt.New(path, bolt.Options{})
			journals := make([]journal.Journal, c.partitions)
			for i := range journals {
				var err error
				journals[i], _, err = load(t, e, fmt.Sprintf("%03d", i))
				require.NoError(t, err)
				appendTo(t, journals[i], put("key", strings.Repeat("v", c.bytes)))
			}
			var snapshots []snapshot
			for round := range c.rounds {
				j := journals[round*7%len(journals)]
				appendTo(t, j, put("key", fmt.Sprint(round)+strings.Repeat("v", c.bytes)))
				snapshots = append(snapshots, snapshotAt(t, path))
			}
			for _, j := range journals {
				require.NoError(t, j.Close(t.Context()))
			}
			found, harmless := 0, 0
			for n, newer := range snapshots {
				if n < len(snapshots)-1 && n%10 != 9 {
					continue
				}
				require.NoError(t, os.WriteFile(spoilt, newer, 0o600))
				want, err := read(t, spoilt)
				require.NoError(t, err)
				for k, older := range snapshots[:n] {
					file, differs := newer.withRootOf(older)
					if !differs {
						continue
					}
					require.NoError(t, os.WriteFile(spoilt, file, 0o600))
					got, err := read(t, spoilt)
					if err == nil { // it may lead to the newest pages
						require.True(t, maps.EqualFunc(want, got, maps.Equal), "the root page of commit %d, in the place of that of %d", k, n)
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

// An older root page may lead to an older head and to the newest stamp, where bbolt
// has used pages again: the heads of many partitions fill several. The test puts them
// together itself.
func TestAnOlderHeadBesideTheNewestStampIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	e := bolt.New(path, bolt.Options{})
	heads := []string{}
	for _, value := range []string{"old", "new"} {
		j, _, err := load(t, e, "p")
		require.NoError(t, err)
		appendTo(t, j, put("key", value))
		require.NoError(t, j.Close(t.Context()))
		heads = append(heads, records(t, path, "pp")...)
	}
	// rewrite stores the partition anew, with the stamp that is there.
	rewrite := func(head, value string) {
		db, err := bbolt.Open(path, 0o600, &ours)
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket([]byte("heads"))
			stamp := slices.Clone(bucket.Get([]byte("tx")))
			binary.LittleEndian.PutUint64(stamp[4:], uint64(tx.ID()))
			binary.LittleEndian.PutUint32(stamp, sumOf("tx", stamp[4:]))
			record := binary.LittleEndian.AppendUint32(nil, sumOf("kkey", []byte(value)))
			return errors.Join(
				bucket.Put([]byte("tx"), stamp),
				bucket.Put([]byte("pp"), []byte(head)),
				tx.Bucket([]byte("pp")).Put([]byte("kkey"), append(record, value...)),
			)
		}))
		require.NoError(t, db.Close())
	}
	rewrite(heads[1], "new")
	got, err := read(t, path)
	require.NoError(t, err)
	require.Equal(t, map[string]contents{"p": {"key": "new"}}, got)
	rewrite(heads[0], "old")
	_, err = read(t, path)
	require.ErrorIs(t, err, journal.ErrCorrupt)
	require.ErrorContains(t, err, "its heads are not those")
}

// records returns what the heads bucket holds under some keys.
func records(t *testing.T, path string, keys ...string) (values []string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.View(func(tx *bbolt.Tx) error {
		for _, key := range keys {
			values = append(values, string(tx.Bucket([]byte("heads")).Get([]byte(key))))
		}
		return nil
	}))
	return values
}

// To read a file of version 1 leaves it as it is. The first write makes it one of
// version 2, which an older program refuses by its format record.
func TestAFileOfVersion1GetsAStamp(t *testing.T) {
	dir := t.TempDir()
	path, spoilt := filepath.Join(dir, "state"), filepath.Join(dir, "spoilt")
	copyOfVersion1(t, path)
	version := func(path string) uint32 {
		return binary.LittleEndian.Uint32([]byte(records(t, path, "format")[0]))
	}
	before := snapshotAt(t, path)
	want, err := read(t, path)
	require.NoError(t, err)
	require.Equal(t, before, snapshotAt(t, path))
	require.EqualValues(t, 1, version(path))
	require.Equal(t, []string{""}, records(t, path, "tx"))

	j, _, err := load(t, bolt.New(path, bolt.Options{}), "p0")
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	after := snapshotAt(t, path)
	require.EqualValues(t, 2, version(path))
	txid, _ := after.meta()
	assert.Equal(t, txid, binary.LittleEndian.Uint64([]byte(records(t, path, "tx")[0])[4:]))
	got, err := read(t, path)
	require.NoError(t, err)
	require.Equal(t, want, got)

	// A root page from before has no stamp, but there is the seal of version 2.
	file, differs := after.withRootOf(before)
	require.True(t, differs)
	require.NoError(t, os.WriteFile(spoilt, file, 0o600))
	_, err = read(t, spoilt)
	require.ErrorIs(t, err, journal.ErrCorrupt)
	require.ErrorContains(t, err, "version 1")
}

// Each write leaves a file that can be read: the stamp is always right.
func TestTheStampIsAlwaysRight(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "journal"), filepath.Join(dir, "copy")
	want := map[string]contents{}
	check := func(what string) {
		t.Helper()
		file := snapshotAt(t, path)
		require.NoError(t, os.WriteFile(copied, file, 0o600))
		got, err := read(t, copied)
		require.NoError(t, err, what)
		require.Equal(t, want, got, what)
		txid, _ := file.meta()
		require.Equal(t, txid, binary.LittleEndian.Uint64([]byte(records(t, copied, "tx")[0])[4:]), what)
	}
	e := bolt.New(path, bolt.Options{})
	_, err := e.Open(t.Context(), strings.Repeat("n", bolt.MaxName+1), nil)
	require.Error(t, err)
	require.NoFileExists(t, path)

	journals := map[string]journal.Journal{}
	for _, partition := range []string{"p", "", "q"} {
		journals[partition], _, err = load(t, e, partition)
		require.NoError(t, err)
		want[partition] = contents{}
		check("a partition is opened")
	}
	appendTo(t, journals["p"], journal.Change{Key: []byte("none"), Delete: true})
	check("a batch that changes nothing")
	for i := range 20 {
		key, value := fmt.Sprint(i), strings.Repeat("v", 10_000)
		appendTo(t, journals["q"], put(key, value))
		want["q"][key] = value
	}
	check("the file has grown")
	require.NoError(t, journals[""].Compact(t.Context(), nil))
	check("a compaction with nothing to do")
	for i := range 15 {
		key := fmt.Sprint(i)
		appendTo(t, journals["q"], journal.Change{Key: []byte(key), Delete: true})
		delete(want["q"], key)
	}
	check("much is deleted")
	before := len(snapshotAt(t, path))
	require.NoError(t, journals[""].Compact(t.Context(), nil))
	require.Less(t, len(snapshotAt(t, path)), before)
	check("a compaction")
	for partition, j := range journals {
		appendTo(t, j, put("after", partition))
		want[partition]["after"] = partition
		check("a batch after the compaction")
	}
	require.NoError(t, journals["p"].Close(t.Context()))
	why := errors.New("why")
	_, err = e.Open(t.Context(), "p", func(journal.Change) error { return why })
	require.Equal(t, why, err)
	check("an Open that its caller ended")
	require.NoError(t, journals["q"].Close(t.Context()))
	require.NoError(t, journals[""].Close(t.Context()))
	check("all are closed")
}
