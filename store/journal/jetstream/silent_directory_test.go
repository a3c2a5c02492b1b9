//go:build unix

package jetstream_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal/jetstream"
	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest/network"
)

// A directory whose calls end before the engine's own timeout leaves a silent server all
// the same, and the engine does nothing more once it is left.
func TestDirectoryLeavesASilentServer(t *testing.T) {
	if testing.Short() {
		t.Skip("a fault may take an election")
	}
	t.Parallel()
	n := startNetwork(t)
	for _, fault := range network.Faults {
		t.Run(fault.String(), func(t *testing.T) {
			e := newEngine(t, connectTo(t, n, 0), jetstream.Options{Timeout: time.Minute})
			d, err := e.Directory("d")
			require.NoError(t, err)
			require.Eventually(t, func() bool { return replaceDocument(d, "before") == nil }, time.Minute, time.Millisecond)
			require.NoError(t, n.Break(0, fault))
			defer heal(t, n, 0)
			require.Eventually(t, func() bool { return replaceDocument(d, "meanwhile") == nil }, 2*time.Minute, time.Millisecond)
			require.Eventually(t, func() bool { return !running("jetstream.(*Engine).check") }, time.Minute, time.Millisecond)
		})
	}
}

// replaceDocument is a beat of a member with a short lease.
func replaceDocument(d *jetstream.Directory, with string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, revision, err := d.Read(ctx)
	if err != nil {
		return err
	}
	if ok, err := d.Write(ctx, []byte(with), revision); err != nil || !ok {
		return errors.Join(err, errors.New("not written"))
	}
	return nil
}

// running reports whether a goroutine is in a function.
func running(function string) bool {
	stacks := make([]byte, 4<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), function)
}
