package main

import (
	"bytes"
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/cmd/internal/cli"
)

// asCommand is a variable of the environment that makes the test binary the command.
const asCommand = "LOOPSTORE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	if dir := os.Getenv(asServer); dir != "" {
		if err := serve(dir); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// shell runs the command as a shell would.
func shell(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = cli.Run(ctx, newRoot(), args, nil, &out, &err)
	return code, out.String(), err.String()
}
