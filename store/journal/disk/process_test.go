package disk_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

const (
	childEnv = "LOOPSTORE_DISK_CHILD" // says what a child process does
	pathEnv  = "LOOPSTORE_DISK_PATH"
)

// A child is this binary in a process of its own.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, what, path string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.count=1")}
	c.Env = append(os.Environ(), childEnv+"="+what, pathEnv+"="+path)
	c.Stderr = os.Stderr
	var err error
	c.in, err = c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewScanner(out)
	require.NoError(t, c.Start())
	return c
}

// kill ends the child at once, and returns what it said last.
func (c *child) kill(t *testing.T) (last string) {
	t.Helper()
	require.NoError(t, c.Process.Kill())
	for c.out.Scan() {
		last = c.out.Text()
	}
	_ = c.Wait()
	return last
}

// TestChild is what a child process does.
func TestChild(t *testing.T) {
	path := os.Getenv(pathEnv)
	switch os.Getenv(childEnv) {
	case "hold":
		open(t, path)
		fmt.Println("open")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "append":
		appendForEver(t, path)
	case "roll":
		j := openWith(t, path, rolling)
		writeAllAnew(t, j, path)
		require.NoError(t, j.Close(t.Context()))
	case "work":
		workForEver(t, path)
	case "claim":
		claimForEver(t, path)
	case "import":
		importForEver(t, path)
	default:
		t.Skip("it is run by other tests")
	}
}

func TestAnotherProcessHoldsTheDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	c := start(t, "hold", path)
	require.True(t, c.out.Scan())
	require.Equal(t, "open", c.out.Text())
	require.ErrorIs(t, refused(t, path), journal.ErrInUse)
	require.ErrorContains(t, refused(t, path), "another process")

	_, _, err := load(t, disk.New(path, disk.Options{Timeout: 50e6}), "p")
	require.ErrorIs(t, err, journal.ErrInUse, "after a wait")

	require.NoError(t, c.in.Close()) // it lets go while the next one waits
	j, _, err := load(t, disk.New(path, disk.Options{Timeout: 60e9}), "p")
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	require.NoError(t, c.Wait())
}

// batchOf is the batch with an index: three keys that say so, more that are
// replaced and deleted, and now and then a large one.
func batchOf(index uint64) (changes []journal.Change) {
	n := strconv.FormatUint(index, 10)
	for _, key := range []string{"first", "middle", "last"} {
		changes = append(changes, put(key, n))
	}
	for i := range index % 7 {
		changes = append(changes, put(fmt.Sprintf("key %d", (index*13+i)%200), n+strings.Repeat("v", int(index*i%900))))
	}
	changes = append(changes, journal.Change{Key: fmt.Appendf(nil, "key %d", index*29%200), Delete: true})
	if index%50 == 0 {
		changes = append(changes, put("large", n+strings.Repeat("x", 200_000)))
	}
	return changes
}

// appendForEver appends batches, prints the index of each when it is stored, and
// compacts now and then.
func appendForEver(t *testing.T, path string) {
	j := open(t, path)
	for at := (journal.Position{}); ; {
		if at.Index == 0 { // it does not know yet which one is next
			var err error
			at, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{put("start", "")}})
			require.NoError(t, err)
		} else {
			at = appendTo(t, j, batchOf(at.Index+1)...)
		}
		fmt.Println(at.Epoch, at.Index)
		if at.Index%40 == 0 {
			require.NoError(t, j.Compact(t.Context(), nil))
		}
	}
}

// standsAt returns what stands after the batches from the start of each epoch.
func standsAt(starts map[uint64]bool, index uint64) contents {
	want := contents{}
	for i := uint64(1); i <= index; i++ {
		if starts[i] {
			want["start"] = ""
			continue
		}
		for _, c := range batchOf(i) {
			if c.Delete {
				delete(want, string(c.Key))
			} else {
				want[string(c.Key)] = string(c.Value)
			}
		}
	}
	return want
}

func TestKilledProcesses(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 5
	}
	path := filepath.Join(t.TempDir(), "journal")
	random := rand.New(rand.NewPCG(7, 8))
	starts := map[uint64]bool{}
	var epoch, index uint64
	for range rounds {
		c := start(t, "append", path)
		first := true
		note := func(line string) {
			var e, i uint64
			_, err := fmt.Sscan(line, &e, &i)
			require.NoError(t, err, "%q", line)
			require.Greater(t, e, epoch)
			if first {
				starts[i], first = true, false
				require.Equal(t, index+1, i)
			}
			index = i
		}
		for range 1 + random.IntN(60) {
			require.True(t, c.out.Scan())
			note(c.out.Text())
		}
		if last := c.kill(t); strings.Count(last, " ") == 1 {
			note(last)
		}
		j, got, err := load(t, disk.New(path, disk.Options{}), "p")
		require.NoError(t, err)
		if !maps.Equal(standsAt(starts, index), got) { // one more was stored than was said
			index++
			require.True(t, maps.Equal(standsAt(starts, index), got), "after index %d", index)
		}
		at := appendTo(t, j, put("start", ""))
		index++
		starts[index] = true
		require.Equal(t, index, at.Index, "indexes have no gaps")
		epoch = at.Epoch
		require.NoError(t, j.Close(t.Context()))
	}
	t.Logf("%d batches, killed %d times", index, rounds)
}
