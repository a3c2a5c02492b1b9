package pages

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
	"github.com/loopstore/loopstore/store/journal/disk/internal/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A testFile is a file that is open, and how far its log has got.
type testFile struct {
	*File
	t    testing.TB
	mark wal.Mark
	at   Positions
	dir  *os.File
}

// created returns a new file without partitions.
func created(t testing.TB) *testFile {
	t.Helper()
	f := &testFile{t: t, at: Positions{}}
	var err error
	f.dir, err = os.Open(t.TempDir())
	require.NoError(t, err)
	path := filepath.Join(f.dir.Name(), "pages")
	require.NoError(t, Create(t.Context(), path, f.dir, nil))
	f.File, err = Open(t.Context(), path, f.dir, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(f.Close(), f.dir.Close())) })
	return f
}

// apply brings one batch into the file.
func (f *testFile) apply(partition string, changes ...journal.Change) error {
	f.t.Helper()
	p, err := f.Pending()
	require.NoError(f.t, err)
	if at := f.at[partition]; at.Epoch == 0 {
		f.at[partition] = journal.Position{Epoch: 1}
		require.NoError(f.t, p.Add(wal.Entry{Partition: partition, Position: f.at[partition]}))
	}
	at := f.at[partition]
	at.Index++
	require.NoError(f.t, p.Add(wal.Entry{Partition: partition, Position: at, Changes: changes}))
	next := f.mark
	next.Number++
	if err := f.Apply(next, p); err != nil {
		return err
	}
	f.mark, f.at[partition] = next, at
	return nil
}

func (f *testFile) put(partition, key, value string) {
	f.t.Helper()
	require.NoError(f.t, f.apply(partition, journal.Change{Key: []byte(key), Value: []byte(value)}))
}

func (f *testFile) remove(partition, key string) {
	f.t.Helper()
	require.NoError(f.t, f.apply(partition, journal.Change{Key: []byte(key), Delete: true}))
}

// A snapshot is a file's bytes after a commit.
type snapshot []byte

func (f *testFile) snapshot() snapshot {
	whole, err := os.ReadFile(f.path)
	require.NoError(f.t, err)
	return whole
}

// write writes a snapshot to a file of its own.
func (s snapshot) write(t testing.TB) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "spoilt")
	require.NoError(t, os.WriteFile(path, s, 0o600))
	return path
}

// holding is what stands in each partition, values by keys.
type holding map[string]map[string]string

// read checks a file, and returns all that it holds, and how far it has got.
func read(t testing.TB, path string) (holding, wal.Mark, error) {
	t.Helper()
	f, err := Open(t.Context(), path, nil, 0)
	if err != nil {
		return nil, wal.Mark{}, err
	}
	defer func() { require.NoError(t, f.Close()) }()
	if err := f.CheckAll(t.Context()); err != nil {
		return nil, wal.Mark{}, err
	}
	all := holding{}
	at, err := f.Positions()
	require.NoError(t, err)
	for name := range at {
		all[name] = map[string]string{}
		p, err := f.Pending()
		require.NoError(t, err)
		_, err = f.Emit(t.Context(), name, p, func(c journal.Change) error {
			all[name][string(c.Key)] = string(c.Value)
			return nil
		})
		require.NoError(t, err)
	}
	return all, f.Log(), nil
}

func (h holding) equal(other holding) bool { return maps.EqualFunc(h, other, maps.Equal) }

// fill makes a file with a tree of some depth, an inline partition, and pages that are free.
func fill(t testing.TB) *testFile {
	f := created(t)
	for i := range 300 {
		value := fmt.Sprintf("value of %0200d", i)
		if i%97 == 0 {
			value = fmt.Sprintf("%010000d", i)
		}
		f.put("p", fmt.Sprintf("key %03d", i*7%200), value)
	}
	f.put("small", "a", "1")
	f.remove("p", "key 007")
	f.put("small", "", "2")
	return f
}

// A flipped bit, and a file that is cut off, either are found or give the same answer.
func TestDamageIsFoundOrHarmless(t *testing.T) {
	f := fill(t)
	whole := f.snapshot()
	want, mark, err := read(t, whole.write(t))
	require.NoError(t, err)
	require.Len(t, want["p"], 199)
	require.Equal(t, f.mark, mark)
	random := rand.New(rand.NewPCG(1, 2))
	found, older := 0, 0
	path := filepath.Join(t.TempDir(), "damaged")
	try := func(damaged []byte, what string, args ...any) {
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		got, reached, err := read(t, path)
		switch {
		case err != nil:
			require.ErrorIs(t, err, journal.ErrCorrupt, what)
			found++
		case reached != mark: // the newest meta page is damaged: the log goes on from here
			require.Equal(t, mark.Number-1, reached.Number)
			older++
		default:
			require.True(t, want.equal(got), append([]any{what}, args...)...)
		}
	}
	rounds := 1500
	if testing.Short() {
		rounds = 300
	}
	for i := range rounds {
		bit := random.IntN(8 * len(whole))
		if i%2 == 0 { // among what matters most
			bit = (random.IntN(len(whole)/4096)*4096 + random.IntN(100)) * 8
		}
		whole[bit/8] ^= 1 << (bit % 8)
		try(whole, "bit %d of byte %d", bit%8, bit/8)
		whole[bit/8] ^= 1 << (bit % 8)
	}
	for bit := range 8 * 80 { // all of both meta pages' facts
		for _, at := range []int{16*8 + bit, (4096+16)*8 + bit} {
			whole[at/8] ^= 1 << (at % 8)
			try(whole, "bit %d of a meta page", at)
			whole[at/8] ^= 1 << (at % 8)
		}
	}
	for range 100 {
		size := random.IntN(len(whole))
		try(whole[:size], "%d of %d bytes", size, len(whole))
	}
	for range 300 { // a page in the place of another, with its number
		spoilt := append(snapshot{}, whole...)
		n := len(whole) / 4096
		copy(spoilt.page(uint64(2+random.IntN(n-2))), whole.page(uint64(2+random.IntN(n-2))))
		try(spoilt, "a page in the place of another")
	}
	require.NotZero(t, found)
	require.NotZero(t, older)
	t.Logf("%d were found, %d led to the transaction before", found, older)
}

// A file that is cut off while it is open faults where it is mapped: that is an error, and
// what was there before it is looked at when it is opened again.
func TestAFaultIsAnError(t *testing.T) {
	f := fill(t)
	require.NoError(t, os.Truncate(f.path, 8192))
	change := journal.Change{Key: []byte("key 001"), Value: []byte("new")}
	for range 2 {
		p := &Pending{Positions: Positions{"p": f.at["p"]}, changes: map[string]map[string]journal.Change{"p": {"key 001": change}}}
		require.Error(t, f.Apply(wal.Mark{}, p))
		require.Error(t, f.Failed())
	}
	require.ErrorIs(t, f.Check(t.Context(), "p"), journal.ErrCorrupt)
	require.Error(t, f.Rewrite(t.Context()))
	require.Error(t, f.Reopen(t.Context()))
	require.Error(t, f.Reopen(t.Context()))
	_, _, err := read(t, f.path)
	require.ErrorIs(t, err, journal.ErrCorrupt)
}

// After a commit that fails nothing is written any more, until the file is opened again: then
// all of it is written anew.
func TestReopen(t *testing.T) {
	f := fill(t)
	want, mark, err := read(t, f.snapshot().write(t))
	require.NoError(t, err)
	broken := errors.New("broken")
	files.Before = func(c files.Change) error {
		if c.Op == files.Committed {
			return broken
		}
		return nil
	}
	t.Cleanup(func() { files.Before = nil })
	change := journal.Change{Key: []byte("a"), Value: []byte("new")}
	require.ErrorIs(t, f.apply("small", change), broken)
	files.Before = nil
	require.Error(t, f.Failed())
	require.ErrorIs(t, f.apply("small", change), broken)
	require.ErrorIs(t, f.Rewrite(t.Context()), broken)
	before, err := os.Stat(f.path)
	require.NoError(t, err)

	files.Before = func(files.Change) error { return broken }
	require.ErrorIs(t, f.Reopen(t.Context()), broken)
	require.Error(t, f.Failed())
	files.Before = nil
	require.NoError(t, f.Reopen(t.Context()))
	require.NoError(t, f.Failed())
	require.Equal(t, mark, f.Log())
	after, err := os.Stat(f.path)
	require.NoError(t, err)
	require.False(t, os.SameFile(before, after))
	got, reached, err := read(t, f.snapshot().write(t))
	require.NoError(t, err)
	require.True(t, want.equal(got))
	require.Equal(t, mark, reached)
	f.put("small", "a", "new")
}

// What is pending must follow what the file holds.
func TestPendingFollows(t *testing.T) {
	f := created(t)
	f.put("p", "a", "1")
	at := f.at["p"]
	for _, e := range []wal.Entry{
		{Partition: "p", Position: journal.Position{Epoch: at.Epoch + 2, Index: at.Index}},
		{Partition: "p", Position: at},
		{Partition: "p", Position: at, Changes: []journal.Change{{}}},
		{Partition: "p", Position: journal.Position{Epoch: at.Epoch, Index: at.Index + 2}, Changes: []journal.Change{{}}},
		{Partition: "q", Position: journal.Position{Epoch: 1, Index: 1}, Changes: []journal.Change{{}}},
	} {
		p, err := f.Pending()
		require.NoError(t, err)
		require.ErrorIs(t, p.Add(e), journal.ErrCorrupt)
	}
}

// Emit puts what is pending among what the file holds.
func TestEmit(t *testing.T) {
	f := created(t)
	for _, key := range []string{"b", "d", "f"} {
		f.put("p", key, "old")
	}
	p, err := f.Pending()
	require.NoError(t, err)
	at := f.at["p"]
	at.Index++
	require.NoError(t, p.Add(wal.Entry{Partition: "p", Position: at, Changes: []journal.Change{
		{Key: []byte("g"), Value: []byte("new")}, {Key: []byte("d"), Delete: true}, {Key: []byte("a"), Value: []byte("new")},
		{Key: []byte("c"), Delete: true}, {Key: []byte("f"), Value: []byte("older")}, {Key: []byte("f"), Value: []byte("new")},
	}}))
	var got []string
	head, err := f.Emit(t.Context(), "p", p, func(c journal.Change) error {
		got = append(got, string(c.Key)+"="+string(c.Value))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"a=new", "b=old", "f=new", "g=new"}, got)
	want := journal.Head{Position: at}
	for _, text := range got {
		key, value, _ := strings.Cut(text, "=")
		want.Put([]byte(key), []byte(value))
	}
	require.Equal(t, want, head)
	require.NoError(t, f.Apply(wal.Mark{Number: 9}, p))
	stands, _, err := read(t, f.snapshot().write(t))
	require.NoError(t, err)
	require.Len(t, stands["p"], 4)
	for _, stop := range []string{"a", "b", "f", "g"} {
		why := errors.New("why")
		_, err := f.Emit(t.Context(), "p", p, func(c journal.Change) error {
			if string(c.Key) == stop {
				return why
			}
			return nil
		})
		require.ErrorIs(t, err, why)
		require.ErrorAs(t, err, new(EmitError))
	}
	assert.NotErrorIs(t, guarded(func() error { panic("of bbolt") }), journal.ErrCorrupt)
	assert.PanicsWithValue(t, "mine", func() { _ = guarded(func() error { panic(&emitPanic{"mine"}) }) })
}

var errBroken = errors.New("broken")

// failNth makes the n-th change of the disk from here on fail, and returns what ends that and
// says whether it came to it.
func failNth(t testing.TB, n int) (failed func() bool) {
	left := n
	files.Before = func(files.Change) error {
		if left--; left == 0 {
			return errBroken
		}
		return nil
	}
	t.Cleanup(func() { files.Before = nil })
	return func() bool {
		files.Before = nil
		return left <= 0
	}
}
