package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// with is a file of the small repository with a part replaced.
func with(name, old, text string) map[string]string {
	return map[string]string{name: strings.ReplaceAll(small[name], old, text)}
}

func TestCheckFindsWhatKeepsAReleaseFromWorking(t *testing.T) {
	require.NoError(t, checked(t, lay(t, nil)))
	for name, test := range map[string]struct {
		changes map[string]string
		says    string
	}{
		"a replace in what is installed": {
			with("cmd/tool/go.mod", "go 1.26.0", "go 1.26.0\n\nreplace example.com/store/engine => ../../engine"),
			"cmd/tool/go.mod: go install refuses a module that replaces example.com/store/engine",
		},
		"a version that is none": {
			with("engine/go.mod", "v0.1.0", "v0.0.0"),
			"engine/go.mod: it requires example.com/store at v0.0.0, not at v0.1.0",
		},
		"a version of its own in what is not released": {
			with("aside/go.mod", "engine v0.1.0", "engine v0.0.9"),
			"aside/go.mod: it requires example.com/store/engine at v0.0.9, not at v0.1.0",
		},
		"all at no version": {
			map[string]string{".ci/go.work": strings.ReplaceAll(small[".ci/go.work"], "v0.1.0", "v0.0.0")},
			`.ci/go.work: "v0.0.0" cannot be the version of a release`,
		},
		"a module that is neither released nor replaces": {
			with("aside/go.mod", "\texample.com/store/engine => ../engine\n", ""),
			"aside/go.mod: nothing replaces example.com/store/engine, and .ci/go.work does not use this module",
		},
		"a replace by something else": {
			with("aside/go.mod", "=> ../engine", "=> ../../engine"),
			"aside/go.mod: nothing replaces example.com/store/engine, and .ci/go.work does not use this module",
		},
		"a released module that needs one that is not": {
			with(".ci/go.work", "\t../engine\n", ""),
			"cmd/tool/go.mod: it requires example.com/store/engine, which .ci/go.work does not use",
		},
		"a module that is not there": {
			with("engine/go.mod", "example.com/store v", "example.com/store/gone v"),
			"engine/go.mod: it requires example.com/store/gone, and there is no such module",
		},
		"a module in the wrong place": {
			with("engine/go.mod", "module example.com/store/engine", "module example.com/store/motor"),
			"engine/go.mod: it is module example.com/store/motor, and its directory that of example.com/store/engine",
		},
		"a workspace that uses nothing": {
			with(".ci/go.work", "\t../engine\n", "\t../engine\n\t../nothing\n"),
			".ci/go.work: it uses nothing, which has no go.mod",
		},
		"a workspace that does not replace": {
			with(".ci/go.work", "\texample.com/store/engine v0.1.0 => ../engine\n", ""),
			".ci/go.work: it uses engine, and does not replace it",
		},
		"a workspace that replaces an old version": {
			with("go.work", "v0.1.0", "v0.0.9"),
			`go.work: it replaces example.com/store at "v0.0.9", not at v0.1.0`,
		},
		"a workspace that replaces with another directory": {
			with("go.work", "=> ./", "=> ./engine"),
			"go.work: it replaces example.com/store with ./engine, which it does not use as that",
		},
		"a first workspace that lacks a dependency": {
			with("go.work", "use .", "use ./engine"),
			"go.work: it uses engine, and not ., which that requires",
		},
		"a first workspace with what is not released": {
			with("go.work", "use .", "use (\n\t.\n\t./aside\n)"),
			"go.work: it uses aside, which .ci/go.work does not",
		},
		"a hash of ours in go.sum": {
			map[string]string{"engine/go.sum": "example.com/a v1.0.0 h1:a=\nexample.com/store v0.1.0/go.mod h1:b=\n"},
			"engine/go.sum: it has a hash of example.com/store",
		},
		"a hash of ours in go.work.sum": {
			map[string]string{".ci/go.work.sum": "example.com/store/engine v0.1.0 h1:b=\n"},
			".ci/go.work.sum: it has a hash of example.com/store/engine",
		},
		"a changelog that does not say": {
			map[string]string{"CHANGELOG.md": "# Changelog\n\n## [0.0.9]\n"},
			"CHANGELOG.md has no heading for v0.1.0, nor [Unreleased]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, checked(t, lay(t, test.changes)), test.says)
		})
	}
}

func TestCheckAndTagsKnowWhatHasBeenReleased(t *testing.T) {
	root := lay(t, nil)
	tags, err := loaded(t, root).tags(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"v0.1.0", "engine/v0.1.0", "cmd/tool/v0.1.0"}, tags, "dependencies first")
	require.NoError(t, os.WriteFile(filepath.Join(root, "new.go"), []byte("package store\n"), 0o666))
	_, err = loaded(t, root).tags(t.Context())
	require.ErrorContains(t, err, "commit first")

	tagged(t, root, "v0.1.0")
	require.NoError(t, checked(t, root), "nothing is wrong between two releases")
	_, err = loaded(t, root).tags(t.Context())
	require.ErrorContains(t, err, "v0.1.0 has been released: set the next version")

	require.NoError(t, loaded(t, root).set("v0.2.0"))
	_, err = loaded(t, root).tags(t.Context())
	require.ErrorContains(t, err, "CHANGELOG.md has no heading for v0.2.0")

	git(t, root, "tag", "v0.9.0")
	git(t, root, "tag", "v0.10.0")
	require.ErrorContains(t, checked(t, root), "v0.2.0 is set, and v0.10.0 has been released")
}

func TestSetChangesEveryVersionAndNothingElse(t *testing.T) {
	root := lay(t, nil)
	require.NoError(t, loaded(t, root).set("v0.2.0-rc.1"))
	for name, before := range small {
		want := before
		if strings.HasSuffix(name, "go.mod") || strings.HasSuffix(name, "go.work") {
			want = strings.ReplaceAll(before, "v0.1.0", "v0.2.0-rc.1")
		}
		require.Equal(t, want, read(t, root, name), name)
	}
}

// A module is added with a go.mod and a line in a workspace.
func TestSetAddsTheReplaceOfWhatAWorkspaceUses(t *testing.T) {
	root := lay(t, with("go.work", "use .", "use (\n\t.\n\t./engine\n)"))
	require.ErrorContains(t, checked(t, root), "go.work: it uses engine, and does not replace it")
	require.NoError(t, loaded(t, root).set("v0.1.0"))
	require.Contains(t, read(t, root, "go.work"), "\texample.com/store/engine v0.1.0 => ./engine\n")
	require.NoError(t, checked(t, root))
}

func TestSetRefusesWhatIsNoVersionOfARelease(t *testing.T) {
	r := loaded(t, lay(t, nil))
	for _, version := range []string{"", "0.2.0", "v0.2", "v0.0.0", "v0.0.0-1", "v2.0.0", "v0.2.1-0.20261126000000-0123456789ab"} {
		require.Error(t, r.set(version), version)
	}
}
