package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/mod/modfile"
)

// tidied fails with what go mod tidy would change. It writes nothing.
func (r *repo) tidied(ctx context.Context) error {
	var faults []error
	for _, m := range r.modules {
		if err := r.tidyModule(ctx, m, "-diff"); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// tidy runs go mod tidy in all modules.
func (r *repo) tidy(ctx context.Context) error {
	for _, m := range r.modules {
		if err := r.tidyModule(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// tidyModule runs go mod tidy. What is not released yet cannot be fetched: a released
// module's go.mod and go.sum are tidied as copies that have a replace for each of our
// modules, and then copied back without.
func (r *repo) tidyModule(ctx context.Context, m *mod, args ...string) error {
	args = slices.Concat([]string{"mod", "tidy"}, args)
	if !m.released {
		return r.goIn(ctx, m, args...)
	}
	copies, err := os.MkdirTemp("", "loopstore-tidy")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(copies) }()
	copied := filepath.Join(copies, "go.mod")
	if err := rewrite(r.at(path.Join(m.dir, "go.mod")), copied, func(file *modfile.File) error {
		for _, other := range r.released() {
			if err := file.AddReplace(other.path, r.version, r.at(other.dir), ""); err != nil {
				return err
			}
		}
		return file.DropReplace(m.path, r.version)
	}); err != nil {
		return err
	}
	if err := copySums(r.at(m.dir), copies); err != nil {
		return err
	}
	if err := r.goIn(ctx, m, append(args, "-modfile="+copied)...); err != nil {
		return err
	}
	if slices.Contains(args, "-diff") {
		return nil
	}
	if err := rewrite(copied, r.at(path.Join(m.dir, "go.mod")), func(file *modfile.File) error {
		for _, at := range file.Replace {
			if err := file.DropReplace(at.Old.Path, at.Old.Version); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return copySums(copies, r.at(m.dir))
}

// goIn runs go in a module, outside of any workspace, and says what it printed if it
// fails.
func (r *repo) goIn(ctx context.Context, m *mod, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = r.at(m.dir)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go mod tidy in %s: %w\n%s", m.dir, err, out)
	}
	return nil
}

// rewrite copies a go.mod with changes.
func rewrite(from, to string, change func(*modfile.File) error) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	file, err := modfile.Parse(from, data, nil)
	if err != nil {
		return err
	}
	if err := change(file); err != nil {
		return err
	}
	file.Cleanup()
	text, err := file.Format()
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o666)
}

// copySums copies the go.sum of a directory, if there is one.
func copySums(from, to string) error {
	sums, err := os.ReadFile(filepath.Join(from, "go.sum"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "go.sum"), sums, 0o666)
}
