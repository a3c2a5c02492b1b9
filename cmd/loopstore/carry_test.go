package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// earlierFiles is where they are. Each has package fixture's content.
const earlierFiles = "../../store/journal/disk/testdata"

// earlier returns a journal of version 1, which is a file.
func earlier(t *testing.T) string { return earlierOf(t, "journal-v1") }

// earlierOf returns a copy of one of the files of earlier versions.
func earlierOf(t *testing.T, name string) string {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the file is in the byte order of other machines")
	}
	text, err := os.ReadFile(filepath.Join(earlierFiles, name))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "x.db")
	require.NoError(t, os.WriteFile(file, text, 0o400))
	return file
}

// A journal of an earlier version is in the directory with all that it holds, and the
// file is as it was.
func TestCarry(t *testing.T) {
	for name, holds := range map[string]fixture.Content{"journal-v1": fixture.First, "journal-v2": fixture.All} {
		t.Run(name, func(t *testing.T) { carries(t, earlierOf(t, name), holds) })
	}
}

func carries(t *testing.T, file string, holds fixture.Content) {
	want := fixture.At(fixture.OnState(t, holds.State(t)), fixture.AllPlaces)
	dir := filepath.Join(t.TempDir(), "journal")
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	code, stdout, stderr := shell(t.Context(), "carry", file, dir)
	require.Equal(t, cli.OK, code, stderr)
	require.Equal(t, dir+": 1 partition of "+file+", which has not changed\n", stdout)
	require.Empty(t, stderr)
	code, stdout, stderr = shell(t.Context(), "verify", dir)
	require.Equal(t, cli.OK, code, stderr)
	require.Contains(t, stdout, fmt.Sprintf("partition \"p0\", revision %d\n", want.Revision))

	held := filesOf(t, dir)
	code, stdout, stderr = shell(t.Context(), "carry", file, dir)
	require.Equal(t, cli.ExitFailed, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "holds a journal already")
	requireSame(t, held, dir)
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, before, after)
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, left, 1)

	loop, err := loopstore.Open(t.Context(), disk.New(dir, disk.Options{}), "p0", loopstore.Options{})
	require.NoError(t, err)
	fixture.Compare(t, want, fixture.At(fixture.OnLoop(t, loop), fixture.AllPlaces))
	require.NoError(t, loop.Close())
}

// Each command says of such a file how to go on.
func TestEarlierJournalIsCarriedFirst(t *testing.T) {
	for _, command := range []string{"inspect", "verify", "compact"} {
		code, stdout, stderr := shell(t.Context(), command, earlier(t))
		require.Equal(t, cli.ExitFailed, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, `"loopstore carry FILE DIR" brings it into a directory`)
	}
}

// What is no journal of an earlier version leaves no journal.
func TestCarryRefuses(t *testing.T) {
	journal, damaged := journaled(t), earlier(t)
	text, err := os.ReadFile(damaged)
	require.NoError(t, err)
	text = text[:len(text)/2]
	require.NoError(t, os.Chmod(damaged, 0o600))
	require.NoError(t, os.WriteFile(damaged, text, 0o600))
	for file, c := range map[string]struct {
		code int
		why  string
	}{
		damaged:                         {cli.ExitFailed, "journal: corrupt: "},
		exported(t):                     {cli.ExitMisuse, "it is an export"},
		journal:                         {cli.ExitMisuse, "needs no carrying"},
		filepath.Join(journal, "pages"): {cli.ExitMisuse, "it is a part of a journal"},
		t.TempDir() + "/nowhere":        {cli.ExitMisuse, "no such file"},
	} {
		dir := filepath.Join(t.TempDir(), "carried")
		code, stdout, stderr := shell(t.Context(), "carry", file, dir)
		require.Equal(t, c.code, code, "%s: %s", file, stderr)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.why)
		require.NoDirExists(t, dir)
	}
}

// A file of a journal's directory is not taken for a journal, nor for an export.
func TestPartOfAJournalIsNoFile(t *testing.T) {
	journal := journaled(t)
	for part := range filesOf(t, journal) {
		for _, command := range []string{"inspect", "verify", "compact"} {
			code, stdout, stderr := shell(t.Context(), command, filepath.Join(journal, part))
			require.Equal(t, cli.ExitMisuse, code, part)
			require.Empty(t, stdout)
			require.Contains(t, stderr, "it is a part of a journal: name the directory that it is in")
		}
	}
	for _, command := range []string{"inspect", "verify", "compact"} {
		code, _, stderr := shell(t.Context(), command, t.TempDir())
		require.Equal(t, cli.ExitFailed, code)
		require.Contains(t, stderr, "it holds no journal")
	}
}
