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

// So it is with the other formats. A text that only looks as if it went on is read and
// hashed as a whole.
func TestGrowingReadsOnlyWhatIsNew(t *testing.T) {
	const known, more = "{}\n[1]\n\"a\"\n", "true\n{}\n"
	for _, format := range []Format{FormatLines, FormatOpaque} {
		planted := func() *Document {
			d, err := (*Document)(nil).Replace(format, known, 3)
			require.NoError(t, err)
			d.read.Store(&hashed{sha256.New().(hash.Cloner)})
			return d
		}
		next, err := planted().Replace(format, known+more, 5)
		require.NoError(t, err)
		assert.Equal(t, sha256.Sum256([]byte(more)), next.Digest())
		addition, err := ReadAddition(format, more, 5)
		require.NoError(t, err)
		assert.Equal(t, next.Facts(), addition.To(planted()).Facts())
		assert.EqualValues(t, 5, next.MessageCount())

		for _, other := range []string{
			"{}\n[2]\n\"a\"\n" + more, "[]\n[1]\n\"a\"\n" + more, "{}\n[1]\n\"b\"\n" + more, // as long
			"{}\n[1]\n", "{}\n[1]\n\"a\"\r\n", " " + known, more, "",
		} {
			want, err := (*Document)(nil).Replace(format, other, 7)
			require.NoError(t, err)
			got, err := planted().Replace(format, other, 7)
			require.NoError(t, err)
			assert.Equal(t, want.Facts(), got.Facts(), other)
			assert.Equal(t, sha256.Sum256([]byte(other)), got.Digest())
		}
	}

	opaque, err := (*Document)(nil).Replace(FormatOpaque, known, 3) // nor is another format gone on from
	require.NoError(t, err)
	opaque.read.Store(&hashed{sha256.New().(hash.Cloner)})
	lines, err := opaque.Replace(FormatLines, known+more, 0)
	require.NoError(t, err)
	assert.Equal(t, sha256.Sum256([]byte(known+more)), lines.Digest())
	assert.EqualValues(t, 5, lines.MessageCount())
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
