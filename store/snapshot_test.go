package store_test

import (
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
