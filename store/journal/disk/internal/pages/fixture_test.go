package pages

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/loopstore/loopstore/store/journal"
)

// What stands in the pages is still written as in the journal that the version's own code
// has written: so no program of one version misreads another's.
func TestPagesAreWrittenAsTheyWere(t *testing.T) {
	const remedy = "the format of the pages has changed: raise formatVersion, keep reading what there is, " +
		"and add testdata/journal-v%d.zip, as internal/fixture/testdata/README.md says"
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the file is in the byte order of other machines")
	}
	files, err := zip.OpenReader(fmt.Sprintf("../../testdata/journal-v%d.zip", formatVersion))
	require.NoError(t, err, "there is no journal of this version: "+remedy, formatVersion)
	text, err := fs.ReadFile(files, "pages")
	require.NoError(t, err)
	require.NoError(t, files.Close())
	path := filepath.Join(t.TempDir(), "pages")
	require.NoError(t, os.WriteFile(path, text, 0o600))

	f, err := Open(t.Context(), path, nil, 0)
	require.NoError(t, err, remedy, formatVersion+1)
	defer func() { require.NoError(t, f.Close()) }()
	require.NoError(t, f.CheckAll(t.Context()))
	records := 0
	require.NoError(t, f.view(func(tx *bbolt.Tx) error {
		heads := tx.Bucket(headsBucket)
		require.Equal(t, encodeFormat(formatVersion), heads.Get(formatKey), remedy, formatVersion+1)
		at := stamp{uint64(tx.ID()), f.heads, f.log}
		require.Equal(t, at.encode(formatVersion), heads.Get(stampKey), remedy, formatVersion+1)
		return eachHead(heads, func(bucket, r []byte) error {
			head, err := decodeHead(bucket, r)
			require.NoError(t, err)
			require.Equal(t, encodeHead(bucket, head), r, remedy, formatVersion+1)
			var counted journal.Head
			require.NoError(t, tx.Bucket(bucket).ForEach(func(stored, r []byte) error {
				key, value, err := decode(stored, r)
				require.NoError(t, err)
				require.Equal(t, storedKey(key), stored, remedy, formatVersion+1)
				require.Equal(t, encodeValue(stored, value), r, remedy, formatVersion+1)
				counted.Put(key, value)
				records++
				return nil
			}))
			require.Equal(t, head.Digest, counted.Digest, remedy, formatVersion+1)
			return nil
		})
	}))
	require.Greater(t, records, 100)
}
