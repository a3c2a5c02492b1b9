package pages

import (
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// remade changes a meta page, and gives it the sum of that.
func remade(s snapshot, i int, change func(body []byte)) snapshot {
	next := slices.Clone(s)
	body := next[i*pageSize+pageHeader:]
	change(body)
	sum := fnv.New64a()
	sum.Write(body[:56])
	native.PutUint64(body[56:], sum.Sum64())
	return next
}

// A meta page whose sum is right may say what it must not say.
func TestMetaPages(t *testing.T) {
	f := fill(t)
	whole := f.snapshot()
	txid, _ := whole.newest()
	i := int(txid % 2)
	uint64At := func(at int, n uint64) func([]byte) {
		return func(body []byte) { native.PutUint64(body[at:], n) }
	}
	for name, damaged := range map[string]snapshot{
		"no page of bbolt":         append(make(snapshot, 2*pageSize), whole[2*pageSize:]...),
		"an older version":         remade(whole, i, func(body []byte) { native.PutUint32(body[4:], 1) }),
		"another page size":        remade(whole, i, func(body []byte) { native.PutUint32(body[8:], 8192) }),
		"the other's transaction":  remade(whole, i, uint64At(48, txid+1)),
		"one far from the other's": remade(whole, i, uint64At(48, txid+2)),
		"too many pages":           remade(whole, i, uint64At(40, uint64(len(whole)/pageSize+1))),
		"too few pages":            remade(whole, i, uint64At(40, 3)),
		"a root that is none":      remade(whole, i, uint64At(16, 1)),
		"a root beyond the end":    remade(whole, i, uint64At(16, 1<<50)),
		"a list of free pages":     remade(whole, i, uint64At(32, 2)),
	} {
		_, _, err := read(t, damaged.write(t))
		require.ErrorIs(t, err, journal.ErrCorrupt, name)
	}
	for _, n := range []int{0, 1} {
		_, _, err := read(t, remade(whole, n, func(body []byte) { native.PutUint32(body[4:], 3) }).write(t))
		require.ErrorIs(t, err, journal.ErrNewerFormat, "a version of bbolt's format that is not known")
	}
	both := slices.Clone(whole)
	clear(both[pageHeader+8:][:100])
	clear(both[pageSize+pageHeader+8:][:100])
	_, _, err := read(t, both.write(t))
	require.ErrorContains(t, err, "both meta pages are damaged")
}

// A step of a Rewrite or a Create that fails leaves what was there, and nothing beside.
func TestAnyStepOfARewriteMayFail(t *testing.T) {
	f := fill(t)
	want, mark, err := read(t, f.snapshot().write(t))
	require.NoError(t, err)
	for n := 1; ; n++ {
		failed := failNth(t, n)
		err := f.Rewrite(t.Context())
		if !failed() {
			require.NoError(t, err)
			break
		}
		got, reached, readErr := read(t, f.snapshot().write(t))
		require.NoError(t, readErr)
		require.True(t, want.equal(got))
		require.Equal(t, mark, reached)
		if err == nil {
			continue // nothing depends on it
		}
		require.ErrorIs(t, err, errBroken)
		require.NoFileExists(t, f.beside())
		if f.Failed() != nil {
			require.NoError(t, f.Reopen(t.Context()))
		}
	}
	for n := 1; ; n++ {
		path := filepath.Join(f.dir.Name(), "other")
		require.NoError(t, os.RemoveAll(path))
		failed := failNth(t, n)
		err := Create(t.Context(), path, f.dir, f.File)
		if !failed() {
			require.NoError(t, err)
			got, reached, err := read(t, path)
			require.NoError(t, err)
			require.True(t, want.equal(got))
			require.Equal(t, mark, reached)
			break
		}
		require.ErrorIs(t, err, errBroken)
		require.NoFileExists(t, path+Suffix)
	}
}
