package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-cell" { // the command has started itself
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("18 processes, and syncs")
	}
	if _, err := os.Stat("/proc/self/io"); err != nil {
		t.Skip("the system does not say what a process writes")
	}
	stdout, dir := os.Stdout, t.TempDir()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	os.Stdout = w
	err = run(t.Context(), []string{"-dir", dir, "-rounds", "1", "-turns", "2", "-seed", "250"})
	os.Stdout = stdout
	require.NoError(t, err)
	require.NoError(t, w.Close())
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	table, rest, ok := strings.Cut(string(out), "\n\n")
	require.True(t, ok)
	lines := strings.Split(table, "\n")
	require.Len(t, lines, 1+3*2*3)
	for _, line := range lines {
		assert.Len(t, strings.Fields(line), len(strings.Fields(lines[0])), line)
	}
	assert.Equal(t, 4, strings.Count(rest, " bytes a turn\n"))
	assert.Equal(t, 2, strings.Count(rest, " lines of code\n"))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
	require.Error(t, run(t.Context(), []string{"-cell", "no"}))
	require.Error(t, run(t.Context(), []string{"-dir", dir + "/not there"}))
	require.Error(t, run(t.Context(), []string{"-no"}))
}
