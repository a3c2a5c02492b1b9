package jetstream_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/jetstream"
)

// A holder is a process that holds a partition. It commits without end, and says
// what it is told: "acknowledged n" or "refused …".
type holder struct {
	*exec.Cmd
	out *bufio.Scanner
}

// holdEnv makes this program a holder: of the partition p of a prefix, on servers.
const holdEnv = "JETSTREAMTEST_HOLD"

func startHolder(t testing.TB, prefix string) *holder {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	h := &holder{Cmd: exec.Command(self)}
	h.Env = append(os.Environ(), holdEnv+"="+prefix+" "+cluster.URL())
	h.Stderr = os.Stderr
	out, err := h.StdoutPipe()
	require.NoError(t, err)
	h.out = bufio.NewScanner(out)
	require.NoError(t, h.Start())
	t.Cleanup(func() {
		_ = h.Process.Kill()
		_ = h.Wait()
	})
	return h
}

// hold is what such a process does.
func hold(prefix, url string) error {
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
func (h *holder) said(t testing.TB, most int) (last int, refusal string) {
	t.Helper()
	last = -1
	for n := 0; n < most && h.out.Scan(); n++ {
		if r, ok := strings.CutPrefix(h.out.Text(), "refused "); ok {
			return last, r
		}
		_, err := fmt.Sscanf(h.out.Text(), "acknowledged %d", &last)
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

// A holder that is killed at any moment has lost nothing that it acknowledged.
func TestHolderIsKilledUnderLoad(t *testing.T) {
	prefix := newPrefix()
	kills := 10
	if testing.Short() {
		kills = 3
	}
	last := -1
	for range kills {
		h := startHolder(t, prefix)
		n, _ := h.said(t, 100)
		last = max(last, n)
		require.NoError(t, h.Process.Kill())
		if n, _ = h.said(t, 1<<30); n > last {
			last = n
		}
		l := openLoop(t, newEngine(t, shared, jetstream.Options{Prefix: prefix}), "p")
		last = checkInputs(t, l, last) - 1
		require.NoError(t, l.Close())
	}
	t.Logf("%d kills, %d commits", kills, last+1)
}
