package clustertest_test

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/cluster/clustertest"
)

// A place has the directories of all names.
func place(open func(name string) cluster.Directory) func(testing.TB) func(string) (cluster.Directory, error) {
	return func(testing.TB) func(string) (cluster.Directory, error) {
		var mu sync.Mutex
		all := map[string]cluster.Directory{}
		return func(name string) (cluster.Directory, error) {
			mu.Lock()
			defer mu.Unlock()
			if all[name] == nil {
				all[name] = open(name)
			}
			return all[name], nil
		}
	}
}

func TestDirectoryInMemory(t *testing.T) {
	clustertest.Run(t, clustertest.Factory{Open: place(func(string) cluster.Directory { return cluster.NewDirectory() })})
}

const child = "LOOPSTORE_CLUSTERTEST_CHILD" // names the canary that a child process tries

var verdict = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL): TestCanaryChild/(\S+) `)

// Each canary must fail in its promise, in a process of its own.
func TestCanaries(t *testing.T) {
	for _, c := range canaries() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCanaryChild$", "-test.v", "-test.count=1", "-test.short")
			cmd.Env = append(os.Environ(), child+"="+c.name)
			out, err := cmd.CombinedOutput()
			exit, failed := errors.AsType[*exec.ExitError](err)
			require.True(t, failed, "it did not fail: %v\n%s", err, out)
			require.Equal(t, 1, exit.ExitCode(), "%s", out)
			require.NotContains(t, string(out), "panic:")
			promises := map[string]string{}
			passed := 0
			for _, v := range verdict.FindAllStringSubmatch(string(out), -1) {
				promises[v[2]] = v[1]
				if v[1] == "PASS" {
					passed++
				}
			}
			assert.Equal(t, "FAIL", promises[strings.ReplaceAll(c.promise, " ", "_")], c.promise)
			assert.Greater(t, passed, 3, "it is wrong in one way")
			assert.True(t, strings.Contains(string(out), "clustertest: the rule is: "+c.promise), "the failure says the rule")
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}

func TestCanaryChild(t *testing.T) {
	for _, c := range canaries() {
		if c.name == os.Getenv(child) {
			clustertest.Run(t, clustertest.Factory{Open: c.open})
			return
		}
	}
	t.Skip("it is run by TestCanaries")
}
