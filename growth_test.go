//go:build !race

package loopstore_test

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/storetest"
)

// linesOf returns a text of some size, in lines with messages of another.
func linesOf(size, message int, next func() byte) string {
	var text strings.Builder
	for text.Len() < size {
		text.WriteString(`{"role":"user","content":"`)
		for range message {
			text.WriteByte(next())
		}
		text.WriteString("\"}\n")
	}
	return text.String()
}

// A commit allocates, and journals, for what is new: where a session of 1 MB grows by 1 KB,
// also if a counter in front of it gains a digit, and whatever its messages are.
func TestACommitTakesWhatIsNew(t *testing.T) {
	const size, more = 1 << 20, 1 << 10
	r := rand.New(rand.NewPCG(1, 17))
	hex := func() byte { return "0123456789abcdef"[r.IntN(16)] }
	x := func() byte { return 'x' }
	for name, text := range map[string]string{
		"messages":            linesOf(size, 970, hex),
		"longer messages":     linesOf(size, 5000, x),
		"equal messages":      linesOf(size, 970, x),
		"long equal messages": linesOf(size, 64_000, x),
		"one message":         linesOf(size, size, func() byte { return "abcdefgh "[r.IntN(9)] }),
		"one equal byte":      strings.Repeat("x", size),
		"any bytes":           string(noiseOf(r, size)),
	} {
		line := linesOf(1, more-29, hex)
		for way, c := range map[string]struct {
			first, then     string
			grows           bool
			allocated, told int
		}{
			"appended":     {text, line, true, 20 << 10, more + session.MaxBytes + 1<<10},
			"grown":        {text, text + line, false, 20 << 10, more + session.MaxBytes + 1<<10},
			"moved, grown": {`{"n":9}` + text, `{"n":10}` + text + line, false, 64 << 10, 16 << 10},
		} {
			t.Run(name+", "+way, func(t *testing.T) {
				commit := func(loop *loopstore.Loop, text []byte, grows bool) {
					_, err := loop.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
						Session:  store.SessionDelta{SessionSnapshot: text, Format: store.FormatOpaque, Append: grows},
						Boundary: store.RunCheckpoint,
					})
					require.NoError(t, err)
				}
				loop, then := storetest.New(t), []byte(c.then)
				commit(loop, []byte(c.first), false)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				commit(loop, then, c.grows)
				runtime.ReadMemStats(&after)
				assert.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(c.allocated))

				durable := storetest.Open(t, journaltest.NewEngine(), "p")
				commit(durable, []byte(c.first), false)
				told := durable.Stats().Journal.Bytes
				commit(durable, then, c.grows)
				assert.LessOrEqual(t, durable.Stats().Journal.Bytes-told, uint64(c.told))
				assert.Equal(t, durable.Stats().Held, loop.Stats().Held)
			})
		}
	}
}

func noiseOf(r *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
