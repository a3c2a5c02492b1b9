package wal

import (
	"errors"
	"fmt"
	"math"
	"runtime"
)

// Unsupported returns errors.ErrUnsupported with why this machine cannot use what another one
// can: nothing is said to be damaged.
func Unsupported(format string, args ...any) error {
	return fmt.Errorf("%w on %s/%s: %s", errors.ErrUnsupported, runtime.GOOS, runtime.GOARCH, fmt.Sprintf(format, args...))
}

// longest is the longest body that this machine reads: 1 GiB where an int has 32 bits. Tests
// alone change it.
var longest uint64 = min(maxBody, math.MaxInt/2)

// holds returns why this machine cannot read a frame that begins at a place of a segment.
func holds(h header, segment uint64, at int64) error {
	if h.Length > longest {
		return Unsupported("frame %d of the log, at byte %d of segment %d, has %d bytes, and %d are read at once", h.Number, at, segment, h.Length, longest)
	}
	return nil
}
