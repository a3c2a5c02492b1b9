package storetest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const child = "LOOPSTORE_STORETEST_CHILD" // tells a child process what to do

// runChild runs one test of this binary in a process of its own and returns its
// output. The test must fail. A child that hangs is killed.
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
	require.NoError(t, ctx.Err(), "the child hangs:\n%s", out)
	exit, failed := errors.AsType[*exec.ExitError](err)
	require.True(t, failed, "the child did not fail: %v\n%s", err, out)
	require.Equal(t, 1, exit.ExitCode(), "%s", out)
	require.NotContains(t, string(out), "panic:")
	require.NotContains(t, string(out), "DATA RACE")
	return string(out)
}
