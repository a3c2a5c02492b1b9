package main

import (
	"bytes"
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// What a program links that uses the root alone, as README says.
var linked = []string{
	"github.com/go-json-experiment/json",
	"github.com/google/uuid",
	"golang.org/x/sync",
}

// How a command is tried, by its name, beside the version that each prints.
var trials = map[string][]string{
	"loopstore": {"demo", "--duration", "1s", "--quiet"},
}

// rehearse does what people will do after the release, outside of the repository and with
// a proxy of files in front of the usual one: it installs and runs each command, and gets
// and builds each other module alone.
func (r *repo) rehearse(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "loopstore-release")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c, err := r.outside(ctx, dir)
	if err != nil {
		return err
	}
	for _, m := range r.released() {
		name, err := r.packageOf(m)
		if err != nil {
			return err
		}
		switch {
		case name == "" || slices.Contains(strings.Split(m.path, "/"), "internal"):
			continue // no other module imports it: it comes with what requires it
		case name == "main":
			err = c.install(ctx, m.path, r.version)
		default:
			err = c.get(ctx, m.path, r.version)
		}
		if err == nil && m.path == r.path {
			err = r.checkLight(ctx, c)
		}
		if err != nil {
			return fmt.Errorf("%s@%s: %w", m.path, r.version, err)
		}
		_, _ = fmt.Fprintf(out, "%s@%s\n", m.path, r.version)
	}
	return nil
}

// consumer is somebody outside of the repository.
type consumer struct {
	dir string // all that they have
	at  string // the directory of the module that they write
	env []string
}

// outside lays out the proxy, and everything that a consumer has. The module cache is
// theirs alone, so that a version that is not released never stands in the usual one. From
// that comes what it has of others; its hashes were compared when it was filled.
func (r *repo) outside(ctx context.Context, dir string) (*consumer, error) {
	proxy := filepath.Join(dir, "proxy")
	if err := r.proxy(ctx, proxy); err != nil {
		return nil, err
	}
	usual, err := exec.CommandContext(ctx, "go", "env", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	cache, others, _ := strings.Cut(strings.TrimSpace(string(usual)), "\n")
	proxies := []string{fileURL(proxy), fileURL(filepath.Join(cache, "cache", "download")), others}
	return &consumer{dir: dir, env: append(os.Environ(),
		"GOPROXY="+strings.Join(proxies, ","), "GOSUMDB=off", "GOWORK=off",
		"GOENV=off", "GOPRIVATE=", "GONOPROXY=", // else what is private would go past the proxies
		"GOMODCACHE="+filepath.Join(dir, "cache"), "GOBIN="+filepath.Join(dir, "bin"),
		"GOFLAGS=-modcacherw -trimpath", // to remove the cache; to build others' code once only
	)}, nil
}

func fileURL(name string) string {
	return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(name), "/")}).String()
}

// install installs a command and runs it.
func (c *consumer) install(ctx context.Context, module, version string) error {
	if _, err := c.run(ctx, c.dir, "go", "install", module+"@"+version); err != nil {
		return err
	}
	name := path.Base(module)
	binary := filepath.Join(c.dir, "bin", name)
	out, err := c.run(ctx, c.dir, binary, "version")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(string(out)), version) {
		return fmt.Errorf("%s version printed %q", name, out)
	}
	if trial := trials[name]; trial != nil {
		_, err = c.run(ctx, c.dir, binary, trial...)
	}
	return err
}

// get builds a program that imports one module and nothing else.
func (c *consumer) get(ctx context.Context, module, version string) error {
	at, err := os.MkdirTemp(c.dir, "program")
	if err != nil {
		return err
	}
	c.at = at
	program := fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", module)
	if err := os.WriteFile(filepath.Join(at, "main.go"), []byte(program), 0o666); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"mod", "init", "example.com/program"},
		{"get", module + "@" + version},
		{"build", "-o", "program", "."},
	} {
		if _, err := c.run(ctx, at, "go", args...); err != nil {
			return err
		}
	}
	return nil
}

// checkLight looks at what came along with the root, which was got last: what a program
// links; and with go mod tidy, which looks at the tests of what it imports, what those
// require.
func (r *repo) checkLight(ctx context.Context, c *consumer) error {
	allowed := map[string]bool{r.path: true}
	for _, path := range linked {
		allowed[path] = true
	}
	if err := c.checkSums(allowed); err != nil {
		return err
	}
	for _, req := range r.in(".").file.Require {
		allowed[req.Mod.Path] = true
	}
	if _, err := c.run(ctx, c.at, "go", "mod", "tidy"); err != nil {
		return err
	}
	return c.checkSums(allowed)
}

// checkSums looks for hashes of other modules in the go.sum of the consumer.
func (c *consumer) checkSums(allowed map[string]bool) error {
	sums, err := os.ReadFile(filepath.Join(c.at, "go.sum"))
	if err != nil {
		return err
	}
	more := map[string]bool{}
	for line := range strings.Lines(string(sums)) {
		if of, _, _ := strings.Cut(line, " "); !allowed[of] {
			more[of] = true
		}
	}
	if len(more) > 0 {
		return fmt.Errorf("the go.sum of a program that uses nothing else has %s",
			strings.Join(slices.Sorted(maps.Keys(more)), ", "))
	}
	return nil
}

// run runs a command, and shows what it printed if it fails.
func (c *consumer) run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, c.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return out, nil
}

// packageOf is the name of the package in a module's directory, empty if none is there.
func (r *repo) packageOf(m *mod) (string, error) {
	names, err := filepath.Glob(filepath.Join(r.at(m.dir), "*.go"))
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly)
		if err != nil {
			return "", err
		}
		return file.Name.Name, nil
	}
	return "", nil
}
