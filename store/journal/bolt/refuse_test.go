package bolt_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/bolt"
)

// refused opens a file that must be refused, with an error that names it.
func refused(t *testing.T, path string) error {
	t.Helper()
	j, _, err := load(t, bolt.New(path, bolt.Options{Timeout: -1}), "p")
	require.Error(t, err)
	require.Nil(t, j)
	var typed *bolt.Error
	require.True(t, errors.As(err, &typed))
	require.Equal(t, path, typed.Path)
	require.Contains(t, err.Error(), fmt.Sprintf("%q", path))
	return err
}

func TestWhatIsNoJournalIsRefused(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "a text": "some text\n", "zeros": string(make([]byte, 100_000)),
		"a long text": strings.Repeat("some text\n", 10_000),
	} {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		require.ErrorIs(t, refused(t, path), journal.ErrCorrupt, name)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(after), "%s: it was left as it is", name)
	}
	dir := t.TempDir()
	_ = refused(t, dir)
	require.ErrorIs(t, refused(t, filepath.Join(dir, "missing", "file")), os.ErrNotExist)
	require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), filepath.Join(dir, "link")))
	_ = refused(t, filepath.Join(dir, "link"))
	_ = refused(t, os.DevNull)
}

// foreign writes a file with bbolt.
func foreign(t *testing.T, opts bbolt.Options, change func(*bbolt.Tx) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	db, err := bbolt.Open(path, 0o600, &opts)
	require.NoError(t, err)
	require.NoError(t, db.Update(change))
	require.NoError(t, db.Close())
	return path
}

// ours are the options of this package's files.
var ours = bbolt.Options{PageSize: 4096, NoFreelistSync: true}

// sumOf returns the sum of a key and what it stands for.
func sumOf(key string, r []byte) uint32 {
	return crc32.Checksum(append([]byte(key), r...), crc32.MakeTable(crc32.Castagnoli))
}

func formatRecord(version uint32) func(*bbolt.Tx) error {
	r := binary.LittleEndian.AppendUint32(nil, version)
	r = binary.LittleEndian.AppendUint32(r, sumOf("format", r))
	return func(tx *bbolt.Tx) error {
		heads, err := tx.CreateBucket([]byte("heads"))
		if err != nil {
			return err
		}
		return heads.Put([]byte("format"), r)
	}
}

func TestOtherFormats(t *testing.T) {
	empty := func(*bbolt.Tx) error { return nil }
	require.ErrorIs(t, refused(t, foreign(t, bbolt.Options{}, empty)), journal.ErrCorrupt)
	require.ErrorIs(t, refused(t, foreign(t, ours, empty)), journal.ErrCorrupt)
	require.ErrorIs(t, refused(t, foreign(t, ours, formatRecord(0))), journal.ErrCorrupt)
	require.ErrorIs(t, refused(t, foreign(t, ours, formatRecord(2))), journal.ErrCorrupt, "it has no stamp")
	require.ErrorIs(t, refused(t, foreign(t, ours, formatRecord(3))), journal.ErrNewerFormat)
	open(t, foreign(t, ours, formatRecord(1)))
}

// Of a file of a later version nothing else is judged, and nothing is written to it.
func TestTheVersionIsReadFirst(t *testing.T) {
	many := func(tx *bbolt.Tx) error {
		for i := range 1000 {
			if _, err := tx.CreateBucket(fmt.Appendf(nil, "a bucket of a later version %0100d", i)); err != nil {
				return err
			}
		}
		return formatRecord(3)(tx)
	}
	sealed := foreign(t, ours, formatRecord(1))
	seal := binary.LittleEndian.AppendUint64([]byte("loopseal"), 2)
	for _, version := range [][]byte{nil, {3, 0, 0, 0}} {
		seal = append(seal, version...)
		seal = binary.LittleEndian.AppendUint32(seal, sumOf("", seal))
	}
	file, err := os.OpenFile(sealed, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(seal, 512)
	require.NoError(t, errors.Join(err, file.Close()))
	for name, path := range map[string]string{
		"its seal says so":            sealed,
		"it has a list of free pages": foreign(t, bbolt.Options{PageSize: 4096}, formatRecord(3)),
		"it has many buckets":         foreign(t, ours, many),
		"its heads fill pages": foreign(t, bbolt.Options{PageSize: 4096}, func(tx *bbolt.Tx) error {
			err := formatRecord(3)(tx)
			for i := range 1000 {
				err = errors.Join(err, tx.Bucket([]byte("heads")).Put(fmt.Appendf(nil, "%0100d", i), []byte("?")))
			}
			return err
		}),
	} {
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		require.ErrorIs(t, refused(t, path), journal.ErrNewerFormat, name)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, before, after, name)
	}
}

func TestASecondEngineOfThisProcessIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	open(t, path)
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(path, link))
	for _, other := range []string{path, filepath.Join(dir, "..", filepath.Base(dir), "journal"), link} {
		_, _, err := load(t, bolt.New(other, bolt.Options{Timeout: 1 << 62}), "q") // it does not wait for that
		require.ErrorIs(t, err, journal.ErrInUse)
	}
}

func TestModeOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	open(t, path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestWhatIsLeftBesideIsWrittenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, os.WriteFile(path+".new", []byte("left by a process that ended"), 0o600))
	open(t, path)
	require.NoFileExists(t, path+".new")
}

func TestALongNameIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	_, err := bolt.New(path, bolt.Options{}).Open(t.Context(), strings.Repeat("n", bolt.MaxName+1), nil)
	require.Error(t, err)
	require.NoFileExists(t, path)
}

// mount mounts a tmpfs of some size, where that is allowed.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if runtime.GOOS != "linux" {
		t.Skip("it needs a tmpfs to mount")
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("it may not mount a tmpfs: %v: %s", err, out)
	}
	t.Cleanup(func() {
		out, err := exec.Command("umount", dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	return dir
}

func TestAReadOnlyDirectory(t *testing.T) {
	dir := mount(t, "size=4m")
	path := filepath.Join(dir, "journal")
	want := contents{"a": "1"}
	j := open(t, path)
	appendTo(t, j, put("a", "1"))
	require.NoError(t, j.Close(t.Context()))
	remount := func(how string) {
		out, err := exec.Command("mount", "-o", "remount,"+how, dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	remount("ro")
	_ = refused(t, path)
	_ = refused(t, filepath.Join(dir, "another"))
	remount("rw")
	j, got, err := load(t, bolt.New(path, bolt.Options{}), "p")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, j.Close(t.Context()))
}

func TestAFullDisk(t *testing.T) {
	dir := mount(t, "size=4m")
	path := filepath.Join(dir, "journal")
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))
	j, _, err := load(t, bolt.New(path, bolt.Options{}), "p")
	require.NoError(t, err)
	want := contents{}
	for i := 0; err == nil; i++ {
		require.Less(t, i, 1000, "the disk is never full")
		key, value := fmt.Sprintf("key %d", i), strings.Repeat("v", 20_000)
		if _, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put(key, value)}}); err == nil {
			want[key] = value
		}
	}
	require.ErrorIs(t, err, journal.ErrAmbiguous)
	require.NotEmpty(t, want)
	t.Logf("after %d batches: %v", len(want), err)
	_, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put("late", "1")}})
	require.ErrorIs(t, err, journal.ErrAmbiguous, "nothing is tried again")
	require.Error(t, j.Compact(t.Context(), nil))
	require.NoError(t, j.Close(t.Context()))

	require.NoError(t, os.Remove(ballast))
	j, got, err := load(t, bolt.New(path, bolt.Options{}), "p")
	require.NoError(t, err)
	delete(got, fmt.Sprintf("key %d", len(want))) // of which it was not known
	require.Equal(t, want, got)
	appendTo(t, j, put("late", "1"))
	require.NoError(t, j.Close(t.Context()))
}

// A Compact that finds no room leaves the journal as it is.
func TestCompactOnAFullDisk(t *testing.T) {
	dir := mount(t, "size=6m")
	path := filepath.Join(dir, "journal")
	j := open(t, path)
	for i := range 30 {
		appendTo(t, j, put(fmt.Sprint(i), strings.Repeat("v", 100_000)))
	}
	for i := range 12 {
		appendTo(t, j, journal.Change{Key: fmt.Append(nil, i), Delete: true})
	}
	ballast := filepath.Join(dir, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 6<<20), 0o600) // as much as there is room for
	err := j.Compact(t.Context(), nil)
	require.Error(t, err)
	t.Log(err)
	require.NoFileExists(t, path+".new")
	require.NoError(t, os.Remove(ballast))
	appendTo(t, j, put("after", "1"))
	require.NoError(t, j.Compact(t.Context(), nil))
	appendTo(t, j, put("after", "2"))
}
