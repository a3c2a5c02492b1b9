package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/loopstore/loopstore/store/journal"
)

// Lock waits for the lock on a file, no longer than timeout, and checks that the
// file is still at its path. The lock ends when the file is closed.
func Lock(ctx context.Context, f *os.File, timeout time.Duration) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	tick, end := time.NewTicker(10*time.Millisecond), time.NewTimer(max(timeout, 0))
	defer tick.Stop()
	defer end.Stop()
	for {
		locked, err := TryLock(f)
		if err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		if locked {
			return StillAt(f.Name(), opened)
		}
		select {
		case <-tick.C:
		case <-end.C:
			return fmt.Errorf("%w: another process has locked it", journal.ErrInUse)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close closes a file that may be closed already.
func Close(f *os.File) error {
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
