package loopstore_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func textOf(t *testing.T, name string) string {
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

func TestPagesLinkToFilesThatExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`) // not to other sites, nor within the page
	for _, pattern := range []string{"*.md", "docs/*.md", ".github/*.md"} {
		pages, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, pages)
		for _, page := range pages {
			for _, found := range link.FindAllStringSubmatch(textOf(t, page), -1) {
				assert.FileExists(t, filepath.Join(filepath.Dir(page), found[1]), "%s links to it", page)
			}
		}
	}
}

func TestREADMEIsShort(t *testing.T) {
	assert.LessOrEqual(t, strings.Count(textOf(t, "README.md"), "\n"), 260)
}

func TestEachPromiseHasATest(t *testing.T) {
	var tests strings.Builder
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, "_test.go") {
			tests.WriteString(textOf(t, path))
		}
		return err
	}))
	headings := regexp.MustCompile(`(?m)^// # (.+)$`).FindAllStringSubmatch(textOf(t, "doc.go"), -1)
	require.NotEmpty(t, headings)
	ending := regexp.MustCompile(`(ing|es|s)$`) // Watching is TestWatch, Batches is TestBatch
	for _, heading := range headings {
		name := "\nfunc Test"
		for word := range strings.FieldsSeq(heading[1]) {
			name += strings.ToUpper(word[:1]) + word[1:]
		}
		name = ending.ReplaceAllString(name, "")
		assert.True(t, strings.Contains(tests.String(), name), "the promise %q has no test", heading[1])
	}
}

// What docs/design.md sets as code is a file, or a name that the code has.
func TestDesignNamesWhatIsThere(t *testing.T) {
	declared := map[string]bool{"sync": true, "Map": true, "Mutex": true} // the last three are Go's
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		declared[file.Name.Name] = true
		ast.Inspect(file, func(n ast.Node) bool {
			if ident, ok := n.(*ast.Ident); ok {
				declared[ident.Name] = true
			}
			return true
		})
		return nil
	}))
	named := regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(textOf(t, "docs/design.md"), -1)
	require.Greater(t, len(named), 50)
	name := regexp.MustCompile(`^[A-Za-z_][\w.]*$`)
	for _, code := range named {
		if strings.Contains(code[1], "/") || strings.HasSuffix(code[1], ".go") {
			_, err := os.Stat(code[1])
			assert.NoError(t, err)
		} else if name.MatchString(code[1]) {
			for part := range strings.SplitSeq(code[1], ".") {
				assert.True(t, declared[part], "%s: there is no %s", code[1], part)
			}
		}
	}
}
