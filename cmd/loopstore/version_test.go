package main

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionIsThatOfTheBuild(t *testing.T) {
	require.Equal(t, "loopstore v1.2.3 go1.26.0",
		versionOf(&debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.3"}}))
	require.Equal(t, "loopstore (unknown) go1.26.0", versionOf(&debug.BuildInfo{GoVersion: "go1.26.0"}))
	require.Equal(t, "loopstore (unknown) "+runtime.Version(), versionOf(nil))

	_, stdout, _ := shell(t.Context(), "version")
	require.Contains(t, stdout, runtime.Version())
}
