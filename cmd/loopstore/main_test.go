package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell runs the command as a shell would.
func shell(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, args, &out, &err)
	return code, out.String(), err.String()
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string // what must be in them; nothing means that they are empty
	}{
		{nil, exitUsage, "", "usage: loopstore <command>"},
		{[]string{"help"}, exitOK, "demo     drive a workload", ""},
		{[]string{"-h"}, exitOK, "usage: loopstore <command>", ""},
		{[]string{"nonsense"}, exitUsage, "", `unknown command "nonsense"`},
		{[]string{"demo", "-h"}, exitOK, "-runtimes", ""},
		{[]string{"demo", "-nonsense"}, exitUsage, "", "-nonsense"},
		{[]string{"demo", "-runtimes", "0"}, exitUsage, "", "-runtimes is 0, and must be at least 1"},
		{[]string{"demo", "-turns", "-1"}, exitUsage, "", "-turns is -1, and must not be negative"},
		{[]string{"demo", "-duration", "0s"}, exitUsage, "", "-duration is 0s, and must be more than 0"},
		{[]string{"demo", "-callers", "0"}, exitUsage, "", "-callers is 0, and must be at least 1"},
		{[]string{"demo", "-runtimes", "many"}, exitUsage, "", `invalid value "many"`},
		{[]string{"demo", "nowhere.json"}, exitUsage, "", "open nowhere.json"},
	} {
		code, stdout, stderr := shell(t.Context(), c.args...)
		require.Equal(t, c.code, code, "%q", c.args)
		requirePart(t, stdout, c.stdout)
		requirePart(t, stderr, c.stderr)
	}
}

func requirePart(t *testing.T, text, part string) {
	t.Helper()
	if part == "" {
		require.Empty(t, text)
	}
	require.Contains(t, text, part)
}
