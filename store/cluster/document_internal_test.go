package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocumentFormat(t *testing.T) {
	d := newDocument("c", 3)
	d.Members = append(d.Members, entry{"one", Member{"a", "a:1"}, 7}, entry{"two", Member{"b", ""}, 1})
	d.Holders[0], d.Holders[2] = 1, 0
	const text = `{"version":1,"cluster":"c","members":[{"id":"one","name":"a","address":"a:1","beat":7},{"id":"two","name":"b","address":"","beat":1}],"owners":[1,-1,0]}`
	assert.Equal(t, text, string(d.text()))
	read, err := newDocument("c", 3).read([]byte(text), 1)
	require.NoError(t, err)
	assert.Equal(t, d, read)
	none, err := newDocument("c", 3).read(nil, 0)
	require.NoError(t, err)
	assert.Equal(t, newDocument("c", 3), none)
}

func TestDocumentsThatAreRefused(t *testing.T) {
	for text, reason := range map[string]string{
		``:                     "not JSON",
		`hello`:                "not JSON",
		`[]`:                   "not JSON",
		`{"version":"1"}`:      "not JSON",
		`{"version":1`:         "not JSON",
		`{"version":2}`:        "version 2, the newest known here is 1",
		`{"version":2,"x":[]}`: "version 2",
		`{}`:                   "its version is 0",
		`{"version":1}`:        "of another cluster",
		`{"version":1,"cluster":"c","members":[],"owners":[-1],"more":1}`:                                      "members are not those",
		`{"version":1,"cluster":"c","members":[{"id":"a","name":1}],"owners":[-1]}`:                            "members are not those",
		`{"version":1,"cluster":"c","members":[],"owners":[-1]}`:                                               "1 partitions, there are 2",
		`{"version":1,"cluster":"c","members":[],"owners":[-1,0]}`:                                             "partition 1",
		`{"version":1,"cluster":"c","members":[],"owners":[-2,-1]}`:                                            "partition 0",
		`{"version":1,"cluster":"c","members":[{"id":"","name":"a"}],"owners":[-1,-1]}`:                        "member 0",
		`{"version":1,"cluster":"c","members":[{"id":"a","name":"a"},{"id":"a","name":"b"}],"owners":[-1,-1]}`: "member 1",
	} {
		_, err := newDocument("c", 2).read([]byte(text), 1)
		require.ErrorIs(t, err, ErrDocument, text)
		assert.Contains(t, err.Error(), reason, text)
	}
}

func TestRemoveFreesClaims(t *testing.T) {
	d := newDocument("c", 5)
	d.Members = []entry{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	d.Holders = []int{0, 1, 2, 1, nobody}
	d.remove(1)
	assert.Equal(t, []int{0, nobody, 1, nobody, nobody}, d.Holders)
	assert.Equal(t, []int{2}, d.claims("c"))
	assert.Empty(t, d.claims("b"))
}
