package disk_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// FuzzSalvage alters bytes of a directory's files, and cuts one off. Whatever they are, keys
// come once and in order, with values that were theirs.
func FuzzSalvage(f *testing.F) {
	path := filepath.Join(f.TempDir(), "journal")
	opts := disk.WithSegments(disk.Options{Timeout: -1, CompactAt: -1}, 4096)
	ever := map[string]bool{}
	j, _, err := load(f, disk.New(path, opts), "p")
	require.NoError(f, err)
	for round := range 4 {
		for i := range 8 {
			key, value := string(rune('a'+(round+i*3)%16)), string(bytes.Repeat([]byte{byte(round)}, 100*i))
			appendTo(f, j, put(key, value), remove(string(rune('a'+i))))
			ever[key+"="+value] = true
		}
		if round < 3 {
			require.NoError(f, j.Compact(f.Context(), nil))
		}
	}
	require.NoError(f, j.Close(f.Context()))
	d := readDir(f, path)
	names := append([]string{"format", "pages"}, d.segments()...)
	f.Add([]byte{1, 0x20, 8, 1, 2, 0, 0, 9, 0, 0, 20, 1}, uint32(0))
	f.Add([]byte{3, 0, 20, 1}, uint32(0x01_2000))
	f.Fuzz(func(t *testing.T, patches []byte, cut uint32) {
		damaged := map[string][]byte{}
		for name, text := range d {
			damaged[name] = []byte(text)
		}
		for ; len(patches) >= 4; patches = patches[4:] {
			name := names[int(patches[0])%len(names)]
			at := int(patches[1])<<8 | int(patches[2])
			damaged[name][at%len(damaged[name])] = patches[3]
		}
		if name, n := names[int(cut>>16)%len(names)], int(cut&0xFFFF); n > 0 {
			damaged[name] = damaged[name][:min(n, len(damaged[name]))]
		}
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, os.Mkdir(path, 0o700))
		for name, text := range damaged {
			require.NoError(t, os.WriteFile(filepath.Join(path, name), text, 0o600))
		}
		var last []byte
		_, err := disk.Salvage(t.Context(), path, "p", opts, nil, func(c journal.Change) error {
			require.True(t, last == nil || bytes.Compare(last, c.Key) < 0)
			last = bytes.Clone(c.Key)
			require.True(t, ever[string(c.Key)+"="+string(c.Value)], "%q", c.Key)
			return nil
		})
		if err != nil {
			require.NotErrorIs(t, err, journal.ErrCorrupt)
		}
		_, _, err = disk.SalvagePartitions(t.Context(), path, opts)
		if err != nil {
			require.NotErrorIs(t, err, journal.ErrCorrupt)
		}
	})
}
