package main

import (
	"archive/zip"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProxyHasWhatIsReleasedAndNoOtherModule(t *testing.T) {
	root := lay(t, map[string]string{".gitignore": "*.out\n", "engine/mine.out": "ignored\n"})
	dir := t.TempDir()
	require.NoError(t, loaded(t, root).proxy(t.Context(), dir))

	found, err := filepath.Glob(filepath.Join(dir, "example.com/store/*/@v"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "example.com/store/engine/@v")}, found)

	at := "example.com/store/engine/@v/"
	require.Equal(t, "v0.1.0\n", read(t, dir, at+"list"))
	require.Contains(t, read(t, dir, at+"v0.1.0.info"), `"Version":"v0.1.0"`)
	require.Equal(t, small["engine/go.mod"], read(t, dir, at+"v0.1.0.mod"))
	require.ElementsMatch(t, []string{"LICENSE", "a.go", "go.mod"}, names(t, dir, "example.com/store/engine"))
	require.ElementsMatch(t, []string{
		".ci/go.work", ".gitignore", "CHANGELOG.md", "LICENSE", "go.mod", "go.work", "store.go",
	}, names(t, dir, "example.com/store"))
}

// names lists what is in a module of a proxy.
func names(t *testing.T, dir, path string) []string {
	t.Helper()
	archive, err := zip.OpenReader(filepath.Join(dir, path, "@v/v0.1.0.zip"))
	require.NoError(t, err)
	defer func() { require.NoError(t, archive.Close()) }()
	var names []string
	for _, file := range archive.File {
		names = append(names, file.Name[len(path+"@v0.1.0/"):])
	}
	return names
}
