package storetest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/storetest"
)

const child = "LOOPSTORE_STORETEST_CHILD" // names what a child process is to do

// runChild runs one test of this binary in a process of its own, which must
// fail, and returns what it printed. A child that hangs is killed.
func runChild(t *testing.T, test, what string) string {
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-5*time.Second))
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+test+"$", "-test.v", "-test.count=1", "-test.short")
	cmd.Env = append(os.Environ(), child+"="+what)
	out, err := cmd.CombinedOutput()
	require.NoError(t, ctx.Err(), "it hangs:\n%s", out)
	exit, failed := errors.AsType[*exec.ExitError](err)
	require.True(t, failed, "it did not fail: %v\n%s", err, out)
	require.Equal(t, 1, exit.ExitCode(), "%s", out)
	require.NotContains(t, string(out), "panic:")
	require.NotContains(t, string(out), "DATA RACE")
	return string(out)
}

var verdict = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): TestCanaryChild/([^/ ]+)(?:/(\S+))? `)

// TestCanaries runs the suite on stores that are wrong. Each must fail in one
// chapter and pass the others; only the one that never writes fails nearly
// everywhere:
//
//	loses leap seconds                     values
//	never writes                           operations, and others
//	drops the snapshot without a session   operations
//	digests the text as it came            operations
//	half-applies a batch                   atomicity
//	overwrites on a refused commit         atomicity
//	trims runtime ids                      isolation
//	aliases its slices                     privacy
//	hands out its own memory               privacy
//	stamps the caller's updates            privacy
//	reorders inputs                        ordering
//	loses a concurrent update              concurrency
//	mints a sequence twice                 concurrency
//	shows half a batch                     concurrency
//	shows the parts of a batch in turn     concurrency
//	ignores the context                    cancellation
//	denies what it applied                 cancellation
//	denies a batch that it applied         cancellation
//	forgets when it is reopened            reopening
//	reopens with the first version         reopening
//	answers after Close                    closing
//	leaks a goroutine                      closing
//	leaves half of a refused batch         batches
//	checks conditions before the batch     batches
//	answers with an old view               views
//	returns a stale view                   readers
//	misses what changes meanwhile          watching
func TestCanaries(t *testing.T) {
	for _, canary := range storetest.Canaries() {
		t.Run(canary.Name, func(t *testing.T) {
			t.Parallel()
			test, tried := "TestCanaryChild", 14
			if onlyOneChapter && canary.Name != "never writes" {
				test, tried = test+"$/^"+canary.Chapter, 1
			}
			out := runChild(t, test, canary.Name)
			chapters, promises := map[string]string{}, map[string]string{}
			for _, v := range verdict.FindAllStringSubmatch(out, -1) {
				if v[3] == "" {
					chapters[v[2]] = v[1]
				} else {
					promises[v[2]+"/"+v[3]] = v[1]
				}
			}
			require.Len(t, chapters, tried, "all chapters were tried:\n%s", out)
			promise := canary.Chapter + "/" + strings.ReplaceAll(canary.Promise, " ", "_")
			assert.Equal(t, "FAIL", promises[promise], promise)
			assert.Contains(t, out, "TestCanaryChild/"+promise+"\n", "the failure names chapter and promise")
			if canary.Name == "never writes" {
				for chapter, outcome := range chapters {
					lacks := slices.Contains([]string{"batches", "views", "readers", "watching", "reopening"}, chapter)
					assert.Equal(t, lacks, outcome != "FAIL", "%s: %s", chapter, outcome)
				}
				return
			}
			for chapter, outcome := range chapters {
				assert.Equal(t, chapter == canary.Chapter, outcome == "FAIL", "%s: %s", chapter, outcome)
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

func TestCanaryChild(t *testing.T) {
	for _, canary := range storetest.Canaries() {
		if canary.Name == os.Getenv(child) {
			storetest.Run(t, canary.Factory)
			return
		}
	}
	t.Skip("it is run by TestCanaries")
}
