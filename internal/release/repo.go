package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// The workspaces. The released one uses what is released.
const (
	firstWork    = "go.work"
	releasedWork = ".ci/go.work"
)

// repo is what the module and workspace files of a repository say.
type repo struct {
	root    string // an absolute path
	path    string // of the module there
	modules []*mod // dependencies before those that require them, else by directory
	works   []*work
	version string // of our own modules; when they do not agree, one of theirs
}

// mod is one module.
type mod struct {
	dir      string // below the root, with slashes; "." is the root
	path     string
	file     *modfile.File
	released bool
}

// work is a workspace file.
type work struct {
	name string // below the root, with slashes
	file *modfile.WorkFile
}

// rootOf finds the repository that a directory is in.
func rootOf(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, filepath.FromSlash(releasedWork))); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no directory above %s has %s", dir, releasedWork)
		}
	}
}

// load reads the workspaces, and the module files outside of hidden directories and of
// testdata.
func load(root string) (*repo, error) {
	r := &repo{root: root}
	for _, name := range []string{firstWork, releasedWork} {
		data, err := os.ReadFile(r.at(name))
		if err != nil {
			return nil, err
		}
		file, err := modfile.ParseWork(name, data, nil)
		if err != nil {
			return nil, err
		}
		r.works = append(r.works, &work{name, file})
	}
	released := r.works[1].uses()
	err := filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && at != root && (strings.HasPrefix(name, ".") || name == "testdata"):
			return fs.SkipDir
		case entry.IsDir() || name != "go.mod":
			return nil
		}
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(at))
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(rel)
		file, err := modfile.Parse(path.Join(dir, "go.mod"), data, nil)
		if err != nil {
			return err
		}
		r.modules = append(r.modules, &mod{dir, file.Module.Mod.Path, file, slices.Contains(released, dir)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	top := r.in(".")
	if top == nil {
		return nil, errors.New("the root has no go.mod")
	}
	r.path = top.path
	r.modules = r.ordered()
	for _, at := range r.works[1].file.Replace {
		r.version = at.Old.Version
	}
	return r, nil
}

// at is where a file of the repository is.
func (r *repo) at(name string) string { return filepath.Join(r.root, filepath.FromSlash(name)) }

// own says whether a module path is one of this repository.
func (r *repo) own(path string) bool {
	return path == r.path || strings.HasPrefix(path, r.path+"/")
}

// module finds one by its path.
func (r *repo) module(path string) *mod {
	for _, m := range r.modules {
		if m.path == path {
			return m
		}
	}
	return nil
}

// in finds the module whose root a directory is.
func (r *repo) in(dir string) *mod {
	for _, m := range r.modules {
		if m.dir == dir {
			return m
		}
	}
	return nil
}

// released lists the modules that are released.
func (r *repo) released() []*mod {
	return slices.DeleteFunc(slices.Clone(r.modules), func(m *mod) bool { return !m.released })
}

// ordered sorts modules so that each comes after those that it requires.
func (r *repo) ordered() []*mod {
	slices.SortFunc(r.modules, func(a, b *mod) int { return strings.Compare(a.dir, b.dir) })
	var out []*mod
	seen := map[*mod]bool{}
	var visit func(*mod)
	visit = func(m *mod) {
		if m == nil || seen[m] {
			return
		}
		seen[m] = true
		for _, req := range m.file.Require {
			if r.own(req.Mod.Path) {
				visit(r.module(req.Mod.Path))
			}
		}
		out = append(out, m)
	}
	for _, m := range r.modules {
		visit(m)
	}
	return out
}

// uses lists the directories of a workspace, below the root of the repository.
func (w *work) uses() []string {
	var dirs []string
	for _, use := range w.file.Use {
		dirs = append(dirs, path.Join(path.Dir(w.name), use.Path))
	}
	return dirs
}

// pathTo is what a replace of the workspace says for a directory of the repository.
func (w *work) pathTo(dir string) string {
	rel, _ := filepath.Rel(filepath.FromSlash(path.Dir(w.name)), filepath.FromSlash(dir))
	if rel = filepath.ToSlash(rel); rel == "." || rel == ".." {
		return rel + "/" // a path without a slash would be that of a module
	} else if strings.HasPrefix(rel, "../") {
		return rel
	}
	return "./" + rel
}
