package jetstream_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// An owner is a process that owns a partition. It commits without end, and says
// what it is told: "acknowledged n" or "refused …".
type owner struct {
	*exec.Cmd
	out *bufio.Scanner
}

// ownEnv makes this program an owner: of the partition p of a prefix, on servers.
const ownEnv = "JETSTREAMTEST_OWN"

func startOwner(t testing.TB, prefix string) *owner {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	o := &owner{Cmd: exec.Command(self)}
	o.Env = append(os.Environ(), ownEnv+"="+prefix+" "+cluster.URL())
	o.Stderr = os.Stderr
	out, err := o.StdoutPipe()
	require.NoError(t, err)
	o.out = bufio.NewScanner(out)
	require.NoError(t, o.Start())
	t.Cleanup(func() {
		_ = o.Process.Kill()
		_ = o.Wait()
	})
	return o
}

// own is what such a process does.
func own(prefix, url string) error {
	conn, err := nats.Connect(url)
	if err != nil {
		return err
	}
	e, err := jetstream.New(conn, jetstream.Options{Prefix: prefix})
	if err != nil {
		return err
	}
	l, err := loopstore.Open(context.Background(), e, "p", loopstore.Options{})
	if err != nil {
		return err
	}
	states, err := l.LoadInputStates(context.Background(), "runtime")
	for n := uint64(len(states)); err == nil; n++ {
		err = l.PersistInputState(context.Background(), "runtime", store.NewInputState(inputOf(n), store.Time{}))
		if err == nil {
			fmt.Println("acknowledged", n)
		}
	}
	fmt.Println("refused", err)
	return nil
}

func inputOf(n uint64) (id store.InputID) {
	copy(id[:], fmt.Sprintf("%016d", n))
	return id
}

// said reads lines up to so many acknowledgements, or the end, and returns the
// highest of them and the words of a refusal.
func (o *owner) said(t testing.TB, most int) (last int, refusal string) {
	t.Helper()
	last = -1
	for n := 0; n < most && o.out.Scan(); n++ {
		if r, ok := strings.CutPrefix(o.out.Text(), "refused "); ok {
			return last, r
		}
		_, err := fmt.Sscanf(o.out.Text(), "acknowledged %d", &last)
		require.NoError(t, err)
	}
	return last, ""
}

// checkInputs checks that the inputs are 0 to at least n without a gap, and at most
// one more.
func checkInputs(t testing.TB, l *loopstore.Loop, last int) (found int) {
	t.Helper()
	states, err := l.LoadInputStates(t.Context(), "runtime")
	require.NoError(t, err)
	for n, s := range states {
		require.Equal(t, inputOf(uint64(n)), s.InputID)
	}
	require.GreaterOrEqual(t, len(states), last+1, "an acknowledged one is lost")
	require.LessOrEqual(t, len(states), last+2, "only one was under way")
	return len(states)
}

// An owner that is killed at any moment has lost nothing that it acknowledged.
func TestOwnerIsKilledUnderLoad(t *testing.T) {
	prefix := newPrefix()
	kills := 10
	if testing.Short() {
		kills = 3
	}
	last := -1
	for range kills {
		o := startOwner(t, prefix)
		n, _ := o.said(t, 100)
		last = max(last, n)
		require.NoError(t, o.Process.Kill())
		if n, _ = o.said(t, 1<<30); n > last {
			last = n
		}
		l := openLoop(t, newEngine(t, shared, jetstream.Options{Prefix: prefix}), "p")
		last = checkInputs(t, l, last) - 1
		require.NoError(t, l.Close())
	}
	t.Logf("%d kills, %d commits", kills, last+1)
}

// An owner that is stopped, and goes on after another has taken over, appends
// nothing more, and says so.
func TestOwnerIsPausedAndResumed(t *testing.T) {
	prefix := newPrefix()
	o := startOwner(t, prefix)
	last, _ := o.said(t, 100)
	require.NoError(t, o.Process.Signal(syscall.SIGSTOP))
	l := openLoop(t, newEngine(t, shared, jetstream.Options{Prefix: prefix}), "p")
	for n := range 100 {
		require.NoError(t, l.PersistRuntimeState(t.Context(), store.RuntimeID(fmt.Sprint(n)), store.RuntimeIdle))
	}
	require.NoError(t, o.Process.Signal(syscall.SIGCONT))
	more, refusal := o.said(t, 1<<30)
	require.Contains(t, refusal, "fenced by another owner")
	found := checkInputs(t, l, max(last, more))
	require.NoError(t, l.Close())
	l = openLoop(t, newEngine(t, shared, jetstream.Options{Prefix: prefix}), "p")
	require.Equal(t, found, checkInputs(t, l, found-1), "something came after the take-over")
	require.NoError(t, l.Close())
}
