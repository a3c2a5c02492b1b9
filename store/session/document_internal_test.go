package session

import (
	"crypto/sha256"
	"hash"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	head = `{"id":"0195b1c2-0000-7000-8000-000000000001","messages":[`
	tail = `],"created_at":[1,2],"updated_at":[3,4]}`
	one  = `{"role":"user","content":"a"}`
)

// Another hash in the place of the kept one shows that it is gone on from.
func TestReplaceReadsOnlyWhatIsNew(t *testing.T) {
	last, err := Read(head + one + tail)
	require.NoError(t, err)
	last.read.Store(&hashed{sha256.New().(hash.Cloner)})
	next, err := last.Replace(FormatMeerkat, head+one+","+one+tail, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 2, next.MessageCount())
	assert.Equal(t, sha256.Sum256([]byte(","+one+"]")), next.Digest())
}

// What is kept for each runtime beside the text is bounded.
func TestDocumentSize(t *testing.T) {
	const n = 10_000
	text := head + one + tail
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	kept := make([]*Document, n)
	before := heap()
	for i := range kept {
		var err error
		kept[i], err = Read(text)
		require.NoError(t, err)
	}
	size := (heap() - before) / n
	runtime.KeepAlive(kept)
	t.Logf("%d bytes per document", size)
	assert.Positive(t, size)
	assert.LessOrEqual(t, size, uint64(512))
}
