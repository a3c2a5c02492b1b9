package main

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// set makes all modules require each other at one version, and the workspaces replace
// that version of what they use.
func (r *repo) set(version string) error {
	if err := r.valid(version); err != nil {
		return err
	}
	for _, m := range r.modules {
		changed := false
		for _, req := range m.file.Require {
			if !r.own(req.Mod.Path) || req.Mod.Version == version {
				continue
			}
			changed = true
			if err := m.file.AddRequire(req.Mod.Path, version); err != nil {
				return err
			}
		}
		if !changed {
			continue
		}
		text, err := m.file.Format()
		if err != nil {
			return err
		}
		if err := os.WriteFile(r.at(path.Join(m.dir, "go.mod")), text, 0o666); err != nil {
			return err
		}
	}
	for _, w := range r.works {
		if err := r.replace(w, version); err != nil {
			return err
		}
		if err := os.WriteFile(r.at(w.name), modfile.Format(w.file.Syntax), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// replace makes a workspace replace what it uses. A use alone does not keep go from
// asking for the go.mod of a version that another module requires.
func (r *repo) replace(w *work, version string) error {
	for _, old := range w.file.Replace {
		if err := w.file.DropReplace(old.Old.Path, old.Old.Version); err != nil {
			return err
		}
	}
	w.file.Cleanup()
	block := &modfile.LineBlock{Token: []string{"replace"}}
	for _, dir := range w.uses() {
		m := r.in(dir)
		if m == nil {
			return fmt.Errorf("%s uses %s, which has no go.mod", w.name, dir)
		}
		block.Line = append(block.Line, &modfile.Line{
			Token:   []string{m.path, version, "=>", w.pathTo(dir)},
			InBlock: true,
		})
	}
	w.file.Syntax.Stmt = append(w.file.Syntax.Stmt, block)
	return nil
}

// valid refuses what cannot be the version of a release.
func (r *repo) valid(version string) error {
	if err := module.Check(r.path, version); err != nil {
		return err
	}
	if semver.Canonical(version) != version || module.IsPseudoVersion(version) || semver.Compare(version, "v0.0.0") <= 0 {
		return fmt.Errorf("%q cannot be the version of a release", version)
	}
	return nil
}
