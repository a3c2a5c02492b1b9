package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheCommandsWorkAnywhereInTheRepository(t *testing.T) {
	t.Chdir(filepath.Join(lay(t, nil), "aside", "testdata"))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"check"}, &out))
	require.NoError(t, run(t.Context(), []string{"set", "v0.1.0"}, &out))
	require.Empty(t, out.String())
	require.NoError(t, run(t.Context(), []string{"tags"}, &out))
	require.Equal(t, "v0.1.0\nengine/v0.1.0\ncmd/tool/v0.1.0\n", out.String())

	for _, args := range [][]string{nil, {"release"}, {"set"}, {"tidy", "-n"}, {"check", "all"}} {
		require.EqualError(t, run(t.Context(), args, &out), usage, args)
	}
	t.Chdir(t.TempDir())
	require.ErrorContains(t, run(t.Context(), []string{"check"}, &out), "has .ci/go.work")
}
