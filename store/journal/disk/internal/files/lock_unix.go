//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package files

import (
	"errors"
	"os"
	"syscall"
)

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

// SameOwner gives a file to whom another one belongs.
func SameOwner(f *os.File, other os.FileInfo) error {
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	is, want := mine.Sys().(*syscall.Stat_t), other.Sys().(*syscall.Stat_t)
	if is.Uid == want.Uid && is.Gid == want.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}
