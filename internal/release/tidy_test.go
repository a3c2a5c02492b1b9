package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTidyNeedsNothingThatIsReleased(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	root := lay(t, nil)
	require.NoError(t, loaded(t, root).tidied(t.Context()))
	require.NoError(t, loaded(t, root).tidy(t.Context()))
	for name, text := range small {
		require.Equal(t, text, read(t, root, name), name)
	}
}

func TestTidyFindsWhatIsRequiredByItself(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	root := lay(t, map[string]string{"engine/go.mod": "module example.com/store/engine\n\ngo 1.26.0\n"})
	require.ErrorContains(t, loaded(t, root).tidied(t.Context()), "+require example.com/store v0.1.0")
	require.NoError(t, loaded(t, root).tidy(t.Context()))
	require.Equal(t, small["engine/go.mod"], read(t, root, "engine/go.mod"))
}
