package demo

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

func TestEmbeddedConversationsAreCanonical(t *testing.T) {
	files, err := os.ReadDir("conversations")
	require.NoError(t, err)
	documents, err := ReadDocuments(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, documents, len(files))

	roles, blocks := map[string]int{}, map[string]int{}
	for _, d := range documents {
		text, err := embedded.ReadFile(d.name)
		require.NoError(t, err)
		var plain struct{ Messages json.RawMessage }
		require.NoError(t, json.Unmarshal(text, &plain))
		read, err := session.Read(string(text))
		require.NoError(t, err)
		require.Equal(t, sha256.Sum256(plain.Messages), read.Digest(), d.name)
		require.True(t, d.canonical, d.name)
		require.GreaterOrEqual(t, len(d.messages), 8, d.name)

		for _, message := range d.messages {
			var m struct {
				Role   string
				Blocks []struct {
					Type string `json:"block_type"`
				}
			}
			require.NoError(t, json.Unmarshal(message, &m))
			roles[m.Role]++
			for _, b := range m.Blocks {
				blocks[b.Type]++
			}
		}
	}
	require.Len(t, roles, 5, "every role is there")
	require.Len(t, blocks, 3, "every kind of block is there")
}

const sessionID = `"0197f3a2-5c1e-7b40-9d11-6a0c2f4e8b01"`

// small returns a session of five messages.
func small(t *testing.T) *document {
	t.Helper()
	d, err := newDocument("small", []byte(`{"id":`+sessionID+`,"messages":[`+
		`{"role":"user","content":"0"},{"role":"user","content":"1"},{"role":"user","content":"2"},{"role":"user","content":"3"},{"role":"user","content":"4"}`+
		`],"created_at":{"secs_since_epoch":1,"nanos_since_epoch":0},"updated_at":{"secs_since_epoch":2,"nanos_since_epoch":0}}`))
	require.NoError(t, err)
	return d
}

func contents(t *testing.T, snapshot []byte) (all string) {
	t.Helper()
	var s struct{ Messages []struct{ Content string } }
	require.NoError(t, json.Unmarshal(snapshot, &s))
	for _, m := range s.Messages {
		all += m.Content
	}
	return all
}

func TestConversationGrows(t *testing.T) {
	c := conversation{document: small(t)}
	for _, want := range []string{"01", "0123", "01234", "0123401", "012340123", "0123401234", "012340123401"} {
		c.grow()
		require.Equal(t, want, contents(t, c.snapshot))
		require.Equal(t, len(want), c.count)

		read, err := session.Read(string(c.snapshot))
		require.NoError(t, err)
		digest, err := c.digest()
		require.NoError(t, err)
		require.Equal(t, read.Digest(), digest)
		require.EqualValues(t, c.count, read.MessageCount())
	}
}

func TestConversationStartsAnewAtItsEnd(t *testing.T) {
	c := conversation{document: small(t)}
	count, size := 0, 0
	for c.grow(); c.count > count; c.grow() {
		count, size = c.count, len(c.snapshot)
	}
	require.Equal(t, "01", contents(t, c.snapshot))
	require.Greater(t, size, ample)
	require.Zero(t, count%5, "it ended with its last message")
}

func TestSplitTakesEverySpelling(t *testing.T) {
	const times = `{"secs_since_epoch":1,"nanos_since_epoch":0}`
	const messages = "[ {\"role\":\"user\",\"content\":\"0\"} ,\n{\"content\":\"1\",\"role\":\"user\"}\t]"
	for name, text := range map[string]string{
		"spaces":             " { \"id\" : " + sessionID + ", \"messages\" : " + messages + ",\n\"created_at\":" + times + ",\"updated_at\":" + times + "} \n",
		"an array":           "[1," + sessionID + "," + messages + "," + times + "," + times + ",{},{\"input_tokens\":0,\"output_tokens\":0,\"cache_creation_tokens\":null,\"cache_read_tokens\":null}]",
		"an escaped name":    `{"\u006dessages":` + messages + `,"id":` + sessionID + `,"created_at":` + times + `,"updated_at":` + times + `}`,
		"unknown members":    "{\"odd\":[\"\xff\",\"\\ud800\",{\"messages\":1,\"messages\":2}],\"id\":" + sessionID + ",\"messages\":" + messages + `,"created_at":` + times + `,"updated_at":` + times + `}`,
		"messages come last": `{"id":` + sessionID + `,"created_at":` + times + `,"updated_at":` + times + `,"messages":` + messages + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			whole, err := session.Read(text)
			require.NoError(t, err)
			d, err := newDocument(name, []byte(text))
			require.NoError(t, err)
			require.False(t, d.canonical)
			c := conversation{document: d}
			c.grow()
			read, err := session.Read(string(c.snapshot))
			require.NoError(t, err)
			require.Equal(t, whole.Digest(), read.Digest())
			require.Equal(t, whole.MessageCount(), read.MessageCount())
		})
	}
}

func TestResumeWantsTheSnapshotOfTheReceipt(t *testing.T) {
	d := small(t)
	c := conversation{document: d}
	c.grow()
	read, err := session.Read(string(c.snapshot))
	require.NoError(t, err)
	receipt := store.RunBoundaryReceipt{ConversationDigest: new(read.HexDigest()), MessageCount: 2}

	again := conversation{document: d}
	require.NoError(t, again.resume(slices.Clone(c.snapshot), receipt))
	require.Equal(t, c, again)
	again.grow()
	require.Equal(t, "0123", contents(t, again.snapshot))

	require.ErrorContains(t, again.resume(again.snapshot, receipt), "does not match its receipt", "a later one")
	require.ErrorContains(t, again.resume(d.head, receipt), "of another session")
	require.ErrorContains(t, again.resume(d.tail, receipt), "of another session")
	receipt.ConversationDigest = nil
	require.ErrorContains(t, again.resume(c.snapshot, receipt), "does not match its receipt", "no digest")
}

func TestDocumentHoldsWhatGrewFromIt(t *testing.T) {
	documents, err := ReadDocuments(t.Context(), nil)
	require.NoError(t, err)
	d, other := documents[0], documents[1]
	c := conversation{document: d}
	for range 2 * len(d.messages) {
		c.grow()
		require.True(t, d.holds(c.snapshot, uint64(c.count)))
		require.False(t, d.holds(c.snapshot, uint64(c.count)+1))
		require.False(t, d.holds(c.snapshot, uint64(c.count)-1))
		require.False(t, d.holds(append(slices.Clone(c.snapshot), ' '), uint64(c.count)))
		require.False(t, other.holds(c.snapshot, uint64(c.count)))
		changed := slices.Clone(c.snapshot)
		changed[len(d.head)]++
		require.False(t, d.holds(changed, uint64(c.count)))
	}
}
