package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// exportedFixture is a file with package fixture's content.
func exportedFixture(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	require.NoError(t, archive.Write(&text, fixture.First.State(t).Image()))
	file := filepath.Join(t.TempDir(), "export.jsonl")
	require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o600))
	return file
}

func TestImport(t *testing.T) {
	file, dir := exportedFixture(t), filepath.Join(t.TempDir(), "journal")
	text, err := os.ReadFile(file)
	require.NoError(t, err)

	damaged := filepath.Join(t.TempDir(), "damaged.jsonl")
	require.NoError(t, os.WriteFile(damaged, text[:len(text)-100], 0o600))
	code, stdout, stderr := shell(t.Context(), "import", "-partition", "p", damaged, dir)
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, stderr, damaged+": ")
	require.Empty(t, stdout)

	for _, from := range []string{file, "-"} {
		partition := "from " + from
		code, stdout, stderr = shellWith(t.Context(), strings.NewReader(string(text)), "import", "-partition", partition, from, dir)
		require.Equal(t, cli.OK, code, stderr)
		require.Contains(t, stdout, dir+`: partition "`+partition+`" now holds `+from+`: `)
		require.Empty(t, stderr)

		loop, err := loopstore.Open(t.Context(), disk.New(dir, disk.Options{}), partition, loopstore.Options{})
		require.NoError(t, err)
		var again strings.Builder
		require.NoError(t, loop.Export(t.Context(), &again))
		require.Equal(t, string(text), again.String())
		require.NoError(t, loop.Close())
	}

	code, _, stderr = shell(t.Context(), "import", "-partition", "p", file, dir)
	require.Equal(t, cli.OK, code, "what was refused before left nothing: %s", stderr)
	code, _, stderr = shell(t.Context(), "import", "-partition", "p", file, dir)
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, stderr, store.ErrNotEmpty.Error())
}

func TestImportRefuses(t *testing.T) {
	file, dir := exportedFixture(t), filepath.Join(t.TempDir(), "journal")
	loop, err := loopstore.Open(t.Context(), disk.New(dir, disk.Options{}), "held", loopstore.Options{})
	require.NoError(t, err)
	before := filesOf(t, dir)
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{cli.ExitMisuse, "--partition must name", []string{file, dir}},
		{cli.ExitMisuse, "no such file", []string{"-partition", "p", "nowhere.jsonl", dir}},
		{cli.ExitMisuse, "name the directory that it is in", []string{"-partition", "p", file, filepath.Join(dir, "format")}},
		{cli.ExitFailed, "in use", []string{"-partition", "held", file, dir}},
		{cli.ExitFailed, "in use", []string{"-partition", "other", file, dir}},
	} {
		code, stdout, stderr := shell(t.Context(), append([]string{"import"}, c.args...)...)
		require.Equal(t, c.code, code, stderr)
		require.Contains(t, stderr, c.says)
		require.Empty(t, stdout)
		require.Equal(t, before, filesOf(t, dir))
	}
	require.NoError(t, loop.Close())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, _, stderr := shell(ctx, "import", "-partition", "p", file, dir)
	require.Equal(t, cli.ExitInterrupted, code, stderr)
}
