package store_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

func TestSnapshot(t *testing.T) {
	given := []byte("any bytes \xff")
	s := store.SnapshotOf(given)
	clear(given)
	for range 2 { // the second time after the first has done its worst
		assert.Equal(t, "any bytes \xff", s.String())
		assert.Equal(t, 11, s.Len())
		got := s.Bytes()
		assert.Equal(t, "any bytes \xff", string(got))
		clear(got)
	}
	assert.Nil(t, s.Document())
	assert.Equal(t, []byte{}, store.Snapshot{}.Bytes())
	assert.Zero(t, store.Snapshot{}.Len())

	document, err := session.Read(`{"id":"0195b1c2-0000-7000-8000-000000000001","messages":[],"created_at":[1,2],"updated_at":[3,4]}`)
	require.NoError(t, err)
	s = store.SnapshotOfDocument(document)
	assert.Same(t, document, s.Document())
	assert.Equal(t, document.Text().String(), s.String())
	assert.Zero(t, testing.AllocsPerRun(10, func() { _ = s.String() }))
}

// A snapshot is read in any way, and those of other times have what they had.
func TestSnapshotGrows(t *testing.T) {
	text := strings.Repeat("{\"role\":\"user\"}\n", 5000)
	before, err := store.Snapshot{}.Replace(store.FormatLines, text, 0)
	require.NoError(t, err)
	more, err := session.ReadAddition(store.FormatLines, "[]\n", 0)
	require.NoError(t, err)
	after := before.Append(more)
	assert.EqualValues(t, 5000, before.MessageCount())
	assert.EqualValues(t, 5001, after.MessageCount())
	assert.False(t, before.Equal(after))
	assert.NotEqual(t, before.Digest(), after.Digest())
	for s, want := range map[store.Snapshot]string{before: text, after: text + "[]\n"} {
		assert.Equal(t, len(want), s.Len())
		var parts, written strings.Builder
		for part := range s.Parts() {
			parts.WriteString(part)
		}
		n, err := s.WriteTo(&written)
		require.NoError(t, err)
		assert.EqualValues(t, len(want), n)
		read, err := io.ReadAll(s.Reader())
		require.NoError(t, err)
		for _, got := range []string{s.String(), string(s.Bytes()), string(s.AppendTo(nil)), parts.String(), written.String(), string(read)} {
			assert.True(t, want == got)
		}
		again, err := store.Snapshot{}.Replace(store.FormatLines, want, 0)
		require.NoError(t, err)
		assert.True(t, s.Equal(again))
		asItCame, err := s.Replace(store.FormatUnset, want, 0)
		require.NoError(t, err)
		assert.False(t, s.Equal(asItCame)) // of which nothing is known
		assert.Empty(t, asItCame.Digest())
	}
	_, err = before.Replace(store.FormatLines, text+"{", 0)
	assert.Equal(t, &session.Error{Offset: len(text) + 1, Message: -1, Line: 5001, Reason: "the text ends within a value"}, err)
	_, err = before.Replace(store.Format(9), text, 0)
	assert.IsType(t, new(session.Error), err)
}
