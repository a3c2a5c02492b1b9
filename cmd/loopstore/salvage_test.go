package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/internal/fixture"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// filledJournal is a directory with package fixture's content, in partition "p".
func filledJournal(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	loop, err := loopstore.Open(t.Context(), disk.New(dir, disk.Options{}), "p", loopstore.Options{})
	require.NoError(t, err)
	_, err = loop.Import(t.Context(), opensFile(t, exportedFixture(t)))
	require.NoError(t, err)
	fixture.GoOn(fixture.OnLoop(t, loop), 0)
	require.NoError(t, loop.Compact(t.Context()))
	fixture.GoOn(fixture.OnLoop(t, loop), 1)
	require.NoError(t, loop.Close())
	return dir
}

func opensFile(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Open(name)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// What is salvaged of a damaged journal can be imported, and what is not is named.
func TestSalvage(t *testing.T) {
	dir := filledJournal(t)
	whole := filepath.Join(t.TempDir(), "whole.jsonl")
	code, stdout, stderr := shell(t.Context(), "salvage", dir, whole)
	require.Equal(t, cli.OK, code, stderr)
	require.Regexp(t, `^.*whole.jsonl: ([0-9]+) of ([0-9]+) runtimes in .*, for "loopstore import"\nnothing is damaged\n$`, stdout)

	for name, harm := range map[string]func(dir string) error{
		"no log": func(dir string) error {
			segments, err := filepath.Glob(filepath.Join(dir, "log-*"))
			require.NotEmpty(t, segments)
			return errors.Join(err, os.Truncate(segments[0], 100))
		},
		"pages": func(dir string) (err error) {
			for at := int64(2); at < 12; at++ {
				err = errors.Join(err, flipBit(filepath.Join(dir, "pages"), 4096*at+100))
			}
			return err
		},
	} {
		dir := filledJournal(t)
		require.NoError(t, harm(dir), name)
		code, _, _ = shell(t.Context(), "verify", dir)
		require.Equal(t, cli.ExitFailed, code, "it is damaged")
		before := filesOf(t, dir)
		out := filepath.Join(t.TempDir(), "out.jsonl")
		code, stdout, stderr = shell(t.Context(), "salvage", "-partition", "p", dir, out)
		require.Equal(t, cli.ExitFailed, code, "not all that was held, perhaps: %s", stderr)
		require.FileExists(t, out)
		require.Contains(t, stdout, "damage: ", name)
		require.Equal(t, before, filesOf(t, dir), "salvage changes nothing")
		code, stdout, stderr = shell(t.Context(), "import", "-partition", "p", out, filepath.Join(t.TempDir(), "journal"))
		require.Equal(t, cli.OK, code, stderr)
		require.Regexp(t, `now holds .*: [0-9]+ runtimes`, stdout)

		code, _, stderr = shell(t.Context(), "salvage", dir, out)
		require.Equal(t, cli.ExitMisuse, code)
		require.Contains(t, stderr, "is there already")
	}
}

func flipBit(name string, at int64) error {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	one := make([]byte, 1)
	if _, err := file.ReadAt(one, at); err != nil {
		return err
	}
	one[0] ^= 1
	_, err = file.WriteAt(one, at)
	return err
}

func TestSalvageRefuses(t *testing.T) {
	dir := filledJournal(t)
	out := filepath.Join(t.TempDir(), "out.jsonl")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{cli.ExitMisuse, "no such file", []string{"nowhere", out}},
		{cli.ExitMisuse, "a journal is a directory", []string{exportedFixture(t), out}},
		{cli.ExitFailed, "no partition", []string{"-partition", "other", dir, out}},
		{cli.ExitMisuse, "no such file", []string{dir, filepath.Join(t.TempDir(), "no", "out.jsonl")}},
	} {
		code, stdout, stderr := shell(t.Context(), append([]string{"salvage"}, c.args...)...)
		require.Equal(t, c.code, code, stderr)
		require.Contains(t, stderr, c.says)
		require.Empty(t, stdout)
	}
	loop, err := loopstore.Open(t.Context(), disk.New(dir, disk.Options{}), "q", loopstore.Options{})
	require.NoError(t, err)
	code, _, stderr := shell(t.Context(), "salvage", "-partition", "p", dir, out)
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, stderr, "in use")
	require.NoError(t, loop.Close())
	code, _, stderr = shell(t.Context(), "salvage", dir, out)
	require.Equal(t, cli.ExitMisuse, code)
	require.Contains(t, stderr, `"p", "q"`)
}
