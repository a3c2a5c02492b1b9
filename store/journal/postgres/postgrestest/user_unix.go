//go:build unix

package postgrestest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// servant returns the user that root runs the server as, nil for anybody else,
// who runs it himself.
func servant() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("root needs another user to run it as: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func possible() error {
	_, err := servant()
	return err
}

// giveAway lets the server have a directory.
func giveAway(dir string) error {
	c, err := servant()
	if c == nil || err != nil {
		return err
	}
	return os.Chown(dir, int(c.Uid), int(c.Gid))
}

// disown has a command run as who may, and out of reach of a terminal's
// interrupt.
func disown(cmd *exec.Cmd) {
	c, _ := servant() // which prepare has found
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c, Setpgid: true}
}
