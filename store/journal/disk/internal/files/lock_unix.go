//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package files

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Supported returns why no journal can be used on this system: nil here.
func Supported() error { return nil }

// TryLock takes the lock that bbolt takes, unless somebody else has it. The lock
// belongs to the open file, so bbolt, which gets the same one, has it already.
func TryLock(f *os.File) (bool, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) }); err != nil {
		return false, err
	}
	if errors.Is(failed, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return failed == nil, failed
}

// noFollow makes an open of a symbolic link fail. NoWait makes one of a named pipe return.
const (
	noFollow = syscall.O_NOFOLLOW
	NoWait   = syscall.O_NONBLOCK
)

// SameAccess lets those use a new file who can use another one now: it gets the same group and
// mode, and the same owner if this process may give it away. A member of the group may not.
func SameAccess(f, other *os.File) error {
	var stats [2]*syscall.Stat_t
	var mode os.FileMode
	for i, f := range []*os.File{f, other} {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		stats[i], mode = info.Sys().(*syscall.Stat_t), info.Mode().Perm()
	}
	is, want := stats[0], stats[1]
	if is.Uid != want.Uid || is.Gid != want.Gid {
		err := f.Chown(int(want.Uid), int(want.Gid))
		if errors.Is(err, syscall.EPERM) {
			err = f.Chown(-1, int(want.Gid))
		}
		if err != nil {
			return fmt.Errorf("a new file cannot have the group %d of %q: %w", want.Gid, other.Name(), err)
		}
	}
	return f.Chmod(mode)
}
