//go:build unix

package postgrestest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"syscall"
)

// servant returns the user as whom root runs the server; nil for any other user, who
// runs it under his own name.
func servant() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("root needs another user to run it as: %w", err)
	}
	c := new(syscall.Credential)
	_, err = fmt.Sscan(u.Uid+" "+u.Gid, &c.Uid, &c.Gid)
	return c, err
}

const suspend, resume = syscall.SIGSTOP, syscall.SIGCONT

func possible() error {
	_, err := servant()
	return err
}

// giveAway gives a directory to the user who runs the server.
func giveAway(dir string) error {
	c, err := servant()
	if c == nil || err != nil {
		return err
	}
	return os.Chown(dir, int(c.Uid), int(c.Gid))
}

// disown runs a command as the user who may run it, out of reach of a terminal's
// interrupt.
func disown(cmd *exec.Cmd) {
	c, _ := servant() // prepare has seen its error
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c, Setpgid: true}
}
