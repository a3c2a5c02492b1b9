package archive_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/archive"
)

// names returns what is in a folder.
func names(t *testing.T, folder string) (all []string) {
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func text(content string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, content); return err }
}

func TestWriteFileReplacesAFile(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "a")
	for _, content := range []string{"first", "second"} {
		require.NoError(t, archive.WriteFile(name, text(content)))
		found, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, content, string(found))
	}
	info, err := os.Stat(name)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		assert.Equal(t, os.FileMode(0o600), info.Mode())
	}
	assert.Equal(t, []string{"a"}, names(t, folder))

	long := filepath.Join(t.TempDir(), strings.Repeat("ü", 127)+"x") // 255 bytes
	require.NoError(t, archive.WriteFile(long, text("a long name")))
	assert.FileExists(t, long)

	t.Chdir(folder)
	require.NoError(t, archive.WriteFile("a", text("third")), "a name without a folder")
	require.ErrorContains(t, archive.WriteFile(folder, text("")), "not a regular file")
	require.ErrorIs(t, archive.WriteFile(filepath.Join(folder, "no", "b"), text("")), os.ErrNotExist)
	assert.Equal(t, []string{"a"}, names(t, folder))
}

func TestWriteFileKeepsALink(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	link, target := filepath.Join(folder, "link"), filepath.Join(elsewhere, "target")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o600))
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	require.NoError(t, archive.WriteFile(link, text("new")))
	found, err := os.ReadFile(target)
	require.NoError(t, err)
	assert.Equal(t, "new", string(found))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeSymlink)
}

// However write ends, there is what was there before, and no descriptor is open.
func TestWriteFileLeavesNothingBehind(t *testing.T) {
	failed := errors.New("failed")
	for how, end := range map[string]func() error{
		"error":  func() error { return failed },
		"panic":  func() error { panic(failed) },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		t.Run(how, func(t *testing.T) {
			folder := t.TempDir()
			name := filepath.Join(folder, "a")
			require.NoError(t, os.WriteFile(name, []byte("before"), 0o600))
			var file *os.File
			ended := make(chan any, 1)
			go func() {
				var err error
				defer func() {
					if p := recover(); p != nil {
						ended <- p
						return
					}
					ended <- err
				}()
				err = archive.WriteFile(name, func(w io.Writer) error {
					file = w.(*os.File)
					_, _ = io.WriteString(w, "half")
					return end()
				})
			}()
			if got := <-ended; how != "goexit" {
				assert.Equal(t, failed, got)
			}
			require.ErrorIs(t, file.Close(), os.ErrClosed)
			assert.Equal(t, []string{"a"}, names(t, folder))
			found, err := os.ReadFile(name)
			require.NoError(t, err)
			assert.Equal(t, "before", string(found))
		})
	}
}
