//go:build dragonfly || linux || openbsd

package files

import (
	"os"
	"syscall"
	"time"
)

// Changed returns when a file or a directory was last changed, which, other than its time of
// modification, nobody can set. It is zero where the system does not say.
func Changed(info os.FileInfo) time.Time {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(int64(stat.Ctim.Sec), int64(stat.Ctim.Nsec)) //nolint:unconvert // on 32 bit
	}
	return time.Time{}
}
