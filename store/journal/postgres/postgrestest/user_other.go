//go:build !unix

package postgrestest

import (
	"errors"
	"os/exec"
	"syscall"
)

func possible() error { return errors.New("it is not a Unix") }

func giveAway(string) error { return nil }

func disown(*exec.Cmd) {}

// No server runs here, so none can hang.
const suspend, resume = syscall.Signal(0), syscall.Signal(0)
