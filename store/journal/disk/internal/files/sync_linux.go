package files

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// datasync is fdatasync: it leaves out times, which nothing depends on.
func datasync(f *os.File) error {
	return control(f, func(fd int) error { return syscall.Fdatasync(fd) })
}

// allocate takes room for a file on the disk, so that a write into it does not find the
// disk full. A file system that cannot do that is none the worse.
func allocate(f *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	err := control(f, func(fd int) error { return syscall.Fallocate(fd, 0, 0, size) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return nil
	}
	return err
}

// NextData returns where the next byte of a file stands that was written, from at on, or
// the file's end. Where the system cannot tell it is at.
func NextData(f *os.File, at int64) int64 {
	const seekData = 3 // of lseek
	next, err := f.Seek(at, seekData)
	if errors.Is(err, syscall.ENXIO) {
		next, err = f.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return at
	}
	return max(next, at)
}

// control calls do with a file's descriptor, again while a signal interrupts it.
func control(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) {
		for failed = do(int(fd)); errors.Is(failed, syscall.EINTR); {
			failed = do(int(fd))
		}
	}); err != nil {
		return err
	}
	return failed
}
