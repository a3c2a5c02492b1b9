package journaltest_test

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/journaltest"
)

const child = "LOOPSTORE_JOURNALTEST_CHILD" // names the canary that a child process runs

var verdict = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): TestCanaryChild/([^/ ]+/\S+) `)

// Each canary must fail in its promise, in a process of its own.
func TestCanaries(t *testing.T) {
	for _, canary := range journaltest.Canaries() {
		t.Run(canary.Name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCanaryChild$", "-test.v", "-test.count=1", "-test.short")
			cmd.Env = append(os.Environ(), child+"="+canary.Name)
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
			promise := canary.Chapter + "/" + strings.ReplaceAll(canary.Promise, " ", "_")
			assert.Equal(t, "FAIL", promises[promise], promise)
			assert.Greater(t, passed, 3, "it is wrong in one way")
			assert.True(t, strings.Contains(string(out), "journaltest: the rule is: "+canary.Promise), "the failure says the rule")
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}

func TestCanaryChild(t *testing.T) {
	for _, canary := range journaltest.Canaries() {
		if canary.Name == os.Getenv(child) {
			journaltest.Run(t, canary.Factory)
			return
		}
	}
	t.Skip("it is run by TestCanaries")
}
