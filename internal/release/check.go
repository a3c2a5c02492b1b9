package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// check says what would keep a release from working.
func (r *repo) check(ctx context.Context) error {
	latest, err := r.latest(ctx)
	if err != nil {
		return err
	}
	var faults []error
	wrong := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if err := r.valid(r.version); err != nil {
		wrong("%s: %w", releasedWork, err)
	} else if semver.Compare(r.version, latest) < 0 {
		wrong("%s is set, and %s has been released", r.version, latest)
	}
	for _, m := range r.modules {
		r.checkModule(m, wrong)
		r.checkSums(path.Join(m.dir, "go.sum"), wrong)
	}
	for _, w := range r.works {
		r.checkWork(w, wrong)
		r.checkSums(w.name+".sum", wrong)
	}
	changes, err := os.ReadFile(r.at("CHANGELOG.md"))
	if err != nil {
		return err
	}
	if !headed(changes, "Unreleased") && !headed(changes, strings.TrimPrefix(r.version, "v")) {
		wrong("CHANGELOG.md has no heading for %s, nor [Unreleased]", r.version)
	}
	return errors.Join(faults...)
}

// checkModule looks at one go.mod. A released module has no replace and requires what is
// released; any other has a replace for each of our modules that it requires.
func (r *repo) checkModule(m *mod, wrong func(string, ...any)) {
	name := path.Join(m.dir, "go.mod")
	if want := path.Join(r.path, m.dir); m.path != want {
		wrong("%s: it is module %s, and its directory that of %s", name, m.path, want)
	}
	if m.released && len(m.file.Exclude) > 0 {
		wrong("%s: go install refuses a module that excludes a version", name)
	}
	replaced := map[string]string{}
	for _, at := range m.file.Replace {
		if m.released {
			wrong("%s: go install refuses a module that replaces %s", name, at.Old.Path)
		}
		replaced[at.Old.Path] = path.Join(m.dir, at.New.Path)
	}
	for _, req := range m.file.Require {
		if !r.own(req.Mod.Path) {
			continue
		}
		other := r.module(req.Mod.Path)
		switch {
		case other == nil:
			wrong("%s: it requires %s, and there is no such module", name, req.Mod.Path)
			continue
		case req.Mod.Version != r.version:
			wrong("%s: it requires %s at %s, not at %s", name, req.Mod.Path, req.Mod.Version, r.version)
		}
		switch {
		case m.released && !other.released:
			wrong("%s: it requires %s, which %s does not use", name, other.path, releasedWork)
		case !m.released && replaced[other.path] != other.dir:
			wrong("%s: nothing replaces %s, and %s does not use this module", name, other.path, releasedWork)
		}
	}
}

// checkWork looks at a workspace: what it uses is all there, and each is replaced.
func (r *repo) checkWork(w *work, wrong func(string, ...any)) {
	uses := w.uses()
	replaced := map[string]bool{}
	for _, at := range w.file.Replace {
		m := r.module(at.Old.Path)
		switch {
		case m == nil || path.Join(path.Dir(w.name), at.New.Path) != m.dir || !slices.Contains(uses, m.dir):
			wrong("%s: it replaces %s with %s, which it does not use as that", w.name, at.Old.Path, at.New.Path)
			continue
		case at.Old.Version != r.version:
			wrong("%s: it replaces %s at %q, not at %s", w.name, at.Old.Path, at.Old.Version, r.version)
		}
		replaced[m.dir] = true
	}
	for _, dir := range uses {
		m := r.in(dir)
		if m == nil {
			wrong("%s: it uses %s, which has no go.mod", w.name, dir)
			continue
		}
		if !m.released {
			wrong("%s: it uses %s, which %s does not", w.name, dir, releasedWork)
		}
		if !replaced[dir] {
			wrong("%s: it uses %s, and does not replace it", w.name, dir)
		}
		for _, req := range m.file.Require {
			if other := r.module(req.Mod.Path); other != nil && !slices.Contains(uses, other.dir) {
				wrong("%s: it uses %s, and not %s, which that requires", w.name, dir, other.dir)
			}
		}
	}
}

// checkSums looks for hashes of our own modules. They change with every commit until the
// release, and nobody needs them: go.sum of a dependency is not read.
func (r *repo) checkSums(name string, wrong func(string, ...any)) {
	sums, err := os.ReadFile(r.at(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		wrong("%w", err)
	}
	for line := range strings.Lines(string(sums)) {
		if of, _, _ := strings.Cut(line, " "); r.own(of) {
			wrong("%s: it has a hash of %s", name, of)
		}
	}
}

// headed says whether a changelog has a section.
func headed(changes []byte, section string) bool {
	return bytes.Contains(changes, []byte("\n## ["+section+"]"))
}
