//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package files

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

var errUnsupported = fmt.Errorf("%w on %s: a journal needs flock, and directories that can be synced", errors.ErrUnsupported, runtime.GOOS)

// Supported returns why no journal can be used on this system.
func Supported() error { return errUnsupported }

// TryLock takes no lock here.
func TryLock(*os.File) (bool, error) { return false, errUnsupported }

const (
	noFollow = 0
	NoWait   = 0
)

// SameAccess changes nothing here.
func SameAccess(*os.File, *os.File) error { return errUnsupported }
