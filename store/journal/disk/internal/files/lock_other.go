//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package files

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func TryLock(*os.File) (bool, error) {
	return false, fmt.Errorf("%w on %s: it has no flock", errors.ErrUnsupported, runtime.GOOS)
}

const (
	noFollow = 0
	NoWait   = 0
)

func SameAccess(*os.File, *os.File) error { return errors.ErrUnsupported }
