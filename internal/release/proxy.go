package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// proxy lays out the released modules as they will be once they are tagged, as a module
// proxy of files (go.dev/ref/mod#goproxy-protocol): each with what git tracks, or would
// after git add.
func (r *repo) proxy(ctx context.Context, dir string) error {
	out, err := r.git(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	names := slices.Sorted(strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00"))
	names = slices.Compact(names) // a file in conflict is listed for each side
	for _, m := range r.released() {
		if err := r.publish(m, names, dir); err != nil {
			return err
		}
	}
	return nil
}

// publish writes one module's files for the proxy.
func (r *repo) publish(m *mod, names []string, dir string) error {
	escaped, err := module.EscapePath(m.path)
	if err != nil {
		return err
	}
	at := filepath.Join(dir, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(at, 0o777); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{r.version, time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	text, err := os.ReadFile(r.at(path.Join(m.dir, "go.mod")))
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"list":              []byte(r.version + "\n"),
		r.version + ".info": info,
		r.version + ".mod":  text,
	} {
		if err := os.WriteFile(filepath.Join(at, name), data, 0o666); err != nil {
			return err
		}
	}
	archive, err := os.Create(filepath.Join(at, r.version+".zip"))
	if err != nil {
		return err
	}
	err = zip.Create(archive, module.Version{Path: m.path, Version: r.version}, r.files(m, names))
	return errors.Join(err, archive.Close())
}

// files are those below a module's directory; zip leaves out those of modules below it.
// A module without a licence gets that of the root, as it does when go fetches it by tag.
func (r *repo) files(m *mod, names []string) []zip.File {
	below := ""
	if m.dir != "." {
		below = m.dir + "/"
	}
	var files []zip.File
	licensed := false
	for _, name := range names {
		rel, ok := strings.CutPrefix(name, below)
		if _, err := os.Lstat(r.at(name)); !ok || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		files = append(files, file{rel, r.at(name)})
		licensed = licensed || rel == "LICENSE"
	}
	if !licensed {
		files = append(files, file{"LICENSE", r.at("LICENSE")})
	}
	return files
}

// file is a [zip.File].
type file struct{ name, at string }

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (fs.FileInfo, error)  { return os.Lstat(f.at) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.at) }
