package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRehearseInstallsAndGetsEverything(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	var out bytes.Buffer
	require.NoError(t, loaded(t, lay(t, nil)).rehearse(t.Context(), &out))
	require.Equal(t, `example.com/store@v0.1.0
example.com/store/engine@v0.1.0
example.com/store/cmd/tool@v0.1.0
`, out.String())
}

func TestRehearseFailsAsPeopleWould(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	for name, test := range map[string]struct {
		changes map[string]string
		says    string
	}{
		"a replace in a command": {
			with("cmd/tool/go.mod", "go 1.26.0", "go 1.26.0\n\nreplace example.com/store/engine => ../../engine"),
			"replace directives. It must not contain",
		},
		"a version that is none": {
			with("engine/go.mod", "v0.1.0", "v0.0.0"),
			"example.com/store/engine@v0.1.0: go get",
		},
		"a package that is in no module": {
			with("engine/a.go", "example.com/store", "example.com/store/aside"),
			"example.com/store/engine@v0.1.0: go get",
		},
		"a command that does not know its version": {
			map[string]string{"cmd/tool/main.go": "package main\n\nfunc main() { println(`(devel)`) }\n"},
			`tool version printed "(devel)\n"`,
		},
		"more with the root than it needs": {
			map[string]string{
				"go.mod":           small["go.mod"] + "\nrequire example.com/store/engine v0.1.0\n",
				"store.go":         "package store\n\nimport _ \"example.com/store/engine/part\"\n",
				"engine/part/p.go": "package part\n",
			},
			"the go.sum of a program that uses nothing else has example.com/store/engine",
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, loaded(t, lay(t, test.changes)).rehearse(t.Context(), new(bytes.Buffer)), test.says)
		})
	}
}
