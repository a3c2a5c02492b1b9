package storetest

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A content is the text of a session, with what must be known of it.
type content struct {
	name   string
	format store.Format
	text   string
	digest string
	count  uint64
}

// delta returns the content as a whole text.
func (c content) delta() store.SessionDelta {
	d := store.SessionDelta{SessionSnapshot: []byte(c.text), Format: c.format}
	if c.format == store.FormatOpaque {
		d.Messages = c.count
	}
	return d
}

// linesOf returns JSON Lines as a content.
func linesOf(text string) content {
	return content{"lines", store.FormatLines, text, digestOf(text), uint64(strings.Count(text, "\n"))}
}

func opaqueOf(text string, count uint64) content {
	return content{"opaque", store.FormatOpaque, text, digestOf(text), count}
}

func meerkatOf(n, size int) content {
	return content{"meerkat", store.FormatMeerkat, string(document(conversation(n, size))), digestOf(conversation(n, size)), uint64(n)}
}

// added returns what a content is after an addition to it.
func (c content) added(text string, count uint64) content {
	if c.format == store.FormatLines {
		return linesOf(c.text + text)
	}
	return opaqueOf(c.text+text, count)
}

// contents are of every format but FormatUnset.
func contents() []content {
	all := []content{meerkatOf(0, 0), meerkatOf(3, 9)}
	for _, text := range []string{
		"", "{}\n", "{\"role\":\"user\"}\r\n", " \t{} \t\r\n[1]\n", "1\n\"a\"\nnull\ntrue\n[]\n", `{"a":1,"a":2}` + "\n",
		`"\ud800 \u0000 é ` + "\u2028" + `"` + "\n", strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "\n",
		"1e999999\n", strings.Repeat(`{"n":1}`+"\n", 5000), `"` + strings.Repeat("x", 100_000) + `"` + "\n",
	} {
		all = append(all, linesOf(text))
	}
	for i, text := range []string{"", "\x00\xff\r\n", "{\"half\":", "\n\n", strings.Repeat("\xff", 100_000)} {
		all = append(all, opaqueOf(text, []uint64{0, 7, math.MaxUint64}[i%3]))
	}
	for i := range all {
		all[i].name = fmt.Sprintf("%s %d", all[i].name, i)
	}
	return all
}

// A sessionWay is a way to store a session. The receipt is nil if none is minted.
type sessionWay struct {
	name string
	do   func(ctx context.Context, id store.RuntimeID, d store.SessionDelta) (*store.RunBoundaryReceipt, error)
}

func (tr *trial) sessionWays() []sessionWay {
	ways := []sessionWay{
		{"CommitSessionBoundary", func(ctx context.Context, id store.RuntimeID, d store.SessionDelta) (*store.RunBoundaryReceipt, error) {
			c := committing(store.RunID{1})
			c.Session = d
			receipt, err := tr.store.CommitSessionBoundary(ctx, id, c)
			return &receipt, err
		}},
		{"AtomicApply", func(ctx context.Context, id store.RuntimeID, d store.SessionDelta) (*store.RunBoundaryReceipt, error) {
			a := applying(store.RunID{2}, 0)
			a.Session = &d
			return nil, tr.store.AtomicApply(ctx, id, a)
		}},
	}
	c, ok := tr.store.(batch.Committer)
	if !ok {
		return ways
	}
	return append(ways,
		sessionWay{"CommitBoundary", func(ctx context.Context, id store.RuntimeID, d store.SessionDelta) (*store.RunBoundaryReceipt, error) {
			one := committing(store.RunID{3})
			one.Session = d
			result, err := c.Commit(ctx, batch.Batch{Then: []batch.Write{bounding(id, one)}})
			if err != nil {
				return nil, err
			}
			return &result.Receipts[0], nil
		}},
		sessionWay{"PutSnapshot", func(ctx context.Context, id store.RuntimeID, d store.SessionDelta) (*store.RunBoundaryReceipt, error) {
			_, err := c.Commit(ctx, batch.Batch{Then: []batch.Write{putSession(id, d)}})
			return nil, err
		}},
	)
}

func putSession(id store.RuntimeID, d store.SessionDelta) batch.Write {
	return batch.PutSnapshot{RuntimeID: id, Snapshot: d.SessionSnapshot, Format: d.Format, Append: d.Append, Messages: d.Messages}
}

// put stores a session, and checks what the receipt says of it.
func (tr *trial) put(w sessionWay, id store.RuntimeID, d store.SessionDelta, want content) {
	tr.Helper()
	receipt, err := w.do(tr.Context(), id, d)
	require.NoError(tr, err, "%s of %s", w.name, want.name)
	if receipt != nil {
		tr.says(*receipt, want, w.name)
	}
}

// says checks what a receipt says of a session.
func (tr *trial) says(receipt store.RunBoundaryReceipt, want content, when string) {
	tr.Helper()
	require.NotNil(tr, receipt.ConversationDigest, "%s: the digest", when)
	require.Equal(tr, want.digest, *receipt.ConversationDigest, "%s: the digest of %s", when, want.name)
	require.Equal(tr, want.count, receipt.MessageCount, "%s: the messages of %s", when, want.name)
}

// holds checks that a runtime's session is a content, and that it is known as that.
func (tr *trial) holds(id store.RuntimeID, want content, when string) {
	tr.Helper()
	tr.same(want.text, string(tr.snapshot(id)), "%s: the session %s", when, want.name)
	if has[state.Viewer](tr) {
		snapshot, ok := tr.look(id).Snapshot()
		require.True(tr, ok, when)
		tr.shows(snapshot, want, when)
	}
	if has[batch.Committer](tr) && want.format != store.FormatUnset {
		_, err := tr.tryBatch(batch.Batch{If: []batch.Condition{batch.SessionDigestIs{RuntimeID: id, Digest: want.digest}}})
		require.NoError(tr, err, "%s: SessionDigestIs of %s", when, want.name)
		_ = tr.conflictOf(batch.Batch{If: []batch.Condition{batch.SessionDigestIs{RuntimeID: id, Digest: digestOf("other")}}})
	}
}

// shows checks a snapshot.
func (tr *trial) shows(got store.Snapshot, want content, when string) {
	tr.Helper()
	tr.same(want.text, got.String(), "%s: the snapshot %s", when, want.name)
	require.Equal(tr, want.format.String(), got.Format().String(), "%s: the format of %s", when, want.name)
	require.Equal(tr, want.digest, got.Digest(), "%s: the digest of %s", when, want.name)
	require.Equal(tr, want.count, got.MessageCount(), "%s: the messages of %s", when, want.name)
}
