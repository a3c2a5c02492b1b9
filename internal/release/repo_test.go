package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a repository with a root, an engine, a command that needs both, and checks of
// the engine that nobody installs.
var small = map[string]string{
	".ci/go.work": `go 1.26.0

use (
	..
	../cmd/tool
	../engine
)

replace (
	example.com/store v0.1.0 => ../
	example.com/store/cmd/tool v0.1.0 => ../cmd/tool
	example.com/store/engine v0.1.0 => ../engine
)
`,
	"go.work": `// Why it is there.
go 1.26.0

use .

replace (
	example.com/store v0.1.0 => ./
)
`,
	"go.mod":        "module example.com/store\n\ngo 1.26.0\n",
	"store.go":      "package store\n",
	"LICENSE":       "do what you like\n",
	"CHANGELOG.md":  "# Changelog\n\n## [0.1.0] - 2026-11-26\n\n- All of it.\n",
	"engine/go.mod": "module example.com/store/engine\n\ngo 1.26.0\n\nrequire example.com/store v0.1.0\n",
	"engine/a.go":   "package engine\n\nimport _ \"example.com/store\"\n",
	"cmd/tool/go.mod": `module example.com/store/cmd/tool

go 1.26.0

require example.com/store/engine v0.1.0

require example.com/store v0.1.0 // indirect
`,
	"cmd/tool/main.go": `package main

import (
	"fmt"
	"runtime/debug"

	_ "example.com/store/engine"
)

func main() {
	info, _ := debug.ReadBuildInfo()
	fmt.Println("tool", info.Main.Version)
}
`,
	"aside/testdata/f.txt": "x\n",
	"aside/go.mod": `module example.com/store/aside

go 1.26.0

require example.com/store/engine v0.1.0

require example.com/store v0.1.0 // indirect

replace (
	example.com/store => ../
	example.com/store/engine => ../engine
)
`,
	"aside/aside.go": "package aside\n\nimport _ \"example.com/store/engine\"\n",
}

// lay makes that repository, with changes: a file that is empty is not there.
func lay(t *testing.T, changes map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, files := range []map[string]string{small, changes} {
		for name, text := range files {
			name = filepath.Join(root, filepath.FromSlash(name))
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
			require.NoError(t, os.WriteFile(name, []byte(text), 0o666))
			if text == "" {
				require.NoError(t, os.Remove(name))
			}
		}
	}
	git(t, root, "init", "-q")
	git(t, root, "add", "-A")
	git(t, root, "commit", "-q", "-m", "all")
	return root
}

func git(t *testing.T, root string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{
		"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "tag.gpgSign=false", "-c", "commit.gpgSign=false",
	}, args...)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// tagged makes a commit with a tag.
func tagged(t *testing.T, root, tag string) {
	t.Helper()
	git(t, root, "add", "-A")
	git(t, root, "commit", "-q", "--allow-empty", "-m", tag)
	git(t, root, "tag", tag)
}

func loaded(t *testing.T, root string) *repo {
	t.Helper()
	r, err := load(root)
	require.NoError(t, err)
	return r
}

func checked(t *testing.T, root string) error {
	t.Helper()
	return loaded(t, root).check(t.Context())
}

func read(t *testing.T, root, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(text)
}
