package session_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// scratch reads a text that comes in the place of none.
func scratch(t *testing.T, format session.Format, text string, messages uint64) *session.Document {
	t.Helper()
	d, err := (*session.Document)(nil).Replace(format, text, messages)
	require.NoError(t, err)
	return d
}

// same requires that two documents are the same, but for how they came about.
func same(t *testing.T, want, got *session.Document) {
	t.Helper()
	require.Equal(t, want.Facts(), got.Facts())
	require.True(t, want.Text().Equal(got.Text()))
	require.True(t, got.Verify())
}

// textIn returns some text of a format.
func textIn(r *rand.Rand, format session.Format) string {
	switch format {
	case session.FormatMeerkat:
		var messages []string
		for range r.IntN(60) {
			messages = edit(r, messages)
		}
		return document(join(r, messages))
	case session.FormatLines:
		return linesIn(r)
	}
	return bytesLike(r, []string{"binary", "equal", "mixed"}[r.IntN(3)], anySize(r))
}

func linesIn(r *rand.Rand) string {
	var b strings.Builder
	for n := anySize(r); b.Len() < n; {
		b.WriteString([]string{"{}\n", "1\r\n", ` {"a":"\ud800","a":["é",null]} ` + "\n", `"` + strings.Repeat("x", r.IntN(3000)) + "\"\n"}[r.IntN(4)])
	}
	return b.String()
}

// TestDocumentProperty replaces and grows documents of all formats, some of them
// restored, and compares each with one that was read from scratch.
func TestDocumentProperty(t *testing.T) {
	all := []session.Format{session.FormatUnset, session.FormatMeerkat, session.FormatLines, session.FormatOpaque}
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 21))
		var d *session.Document
		var text string
		for range 25 {
			format, messages := d.Format(), uint64(0)
			if r.IntN(5) == 0 {
				format = all[r.IntN(len(all))]
			}
			if format == session.FormatOpaque {
				messages = r.Uint64N(100)
			}
			switch n := r.IntN(4); {
			case format == d.Format() && format.Grows() && n > 0:
				more := textIn(r, format)
				text += more
				d = borrowed(t, more, func(more string) *session.Document {
					addition, err := session.ReadAddition(format, more, messages)
					require.NoError(t, err)
					if n == 1 {
						return addition.To(d)
					}
					next, err := d.Replace(format, text, messages)
					require.NoError(t, err)
					return next
				})
			default:
				text = textIn(r, format)
				d = borrowed(t, text, func(text string) *session.Document {
					next, err := d.Replace(format, text, messages)
					require.NoError(t, err)
					return next
				})
			}
			require.True(t, text == d.Text().String())
			same(t, scratch(t, format, text, messages), d)
			if format == session.FormatLines || format == session.FormatOpaque {
				require.Equal(t, sha256.Sum256([]byte(text)), d.Digest())
			}
			if r.IntN(3) == 0 {
				restored, ok := session.Restore(d.Facts(), d.Text())
				require.True(t, ok)
				require.False(t, restored.Hashed())
				same(t, d, restored)
				d = restored
			}
		}
	}
}

// Where an error is does not depend on what the text comes in the place of.
func TestReplaceSaysWhereItFails(t *testing.T) {
	var all []*session.Document
	for range 2 {
		all = append(all,
			nil, new(session.Document),
			scratch(t, session.FormatUnset, "1\n2\n", 0),
			scratch(t, session.FormatMeerkat, document("["+user("a")+","+user("b")+"]"), 0),
			scratch(t, session.FormatLines, "1\n2\n", 0),
			scratch(t, session.FormatLines, "1\n3\n4\n", 0),
			scratch(t, session.FormatOpaque, "1\n2\n", 9),
		)
	}
	for i := range all { // and half of them were restored
		if i >= len(all)/2 && all[i] != nil {
			all[i], _ = session.Restore(all[i].Facts(), all[i].Text())
		}
	}
	for _, text := range []string{"x", "1\n2\nx\n", "1\n2\n3", "1\n2\n\n", "1\n", "\xff"} {
		_, want := (*session.Document)(nil).Replace(session.FormatLines, text, 0)
		for _, d := range all {
			_, err := d.Replace(session.FormatLines, text, 0)
			assert.Equal(t, want, err, "%q after %v", text, d.Format())
		}
	}
}

// The formats' digests and counts.
func TestFormats(t *testing.T) {
	for name, c := range map[string]struct {
		format         session.Format
		text           string
		said, messages uint64
		digest         string // of what, empty if of nothing
	}{
		"unset":        {session.FormatUnset, "any\xff", 0, 0, ""},
		"lines":        {session.FormatLines, "{}\n[]\n", 0, 2, "{}\n[]\n"},
		"no lines":     {session.FormatLines, "", 0, 0, ""},
		"lines, \\r":   {session.FormatLines, "{}\r\n", 0, 1, "{}\r\n"},
		"opaque":       {session.FormatOpaque, "\x00\xff", 1 << 63, 1 << 63, "\x00\xff"},
		"opaque, none": {session.FormatOpaque, "", 3, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := scratch(t, c.format, c.text, c.said)
			assert.Equal(t, c.format, d.Format())
			assert.Equal(t, c.messages, d.MessageCount())
			assert.Equal(t, uuid.Nil, d.ID())
			want := sha256.Sum256([]byte(c.digest))
			if c.format == session.FormatUnset {
				want = [sha256.Size]byte{}
			}
			assert.Equal(t, want, d.Digest())
			assert.Equal(t, hex.EncodeToString(want[:]), d.HexDigest())
		})
	}
}

// A format that is none of them is refused, and none panics.
func TestHostileFormats(t *testing.T) {
	known := scratch(t, session.FormatLines, "1\n", 0)
	for n := range 256 {
		format := session.Format(n)
		name, err := format.MarshalText()
		assert.NoError(t, err)
		assert.Equal(t, format.String(), string(name))
		for _, d := range []*session.Document{nil, new(session.Document), known} {
			for _, text := range []string{"", "1\n2\n", document("[]")} {
				next, err := d.Replace(format, text, 5)
				if !format.Valid() {
					assert.IsType(t, new(session.Error), err)
					assert.Nil(t, next)
				} else if err == nil {
					assert.Equal(t, format, next.Format())
					assert.True(t, next.Verify())
				}
				addition, err := session.ReadAddition(format, text, 5)
				if !format.Grows() {
					assert.IsType(t, new(session.Error), err)
					assert.Zero(t, addition)
				}
			}
		}
		for _, facts := range []session.Facts{
			{Format: format}, {Format: format, To: 2}, {Format: format, From: 2, To: 1}, {Format: format, From: -1}, {Format: format, To: math.MaxInt},
			{Format: format, Messages: 1 << 63, To: 2}, {Format: format, ID: uuid.Max, To: 2},
		} {
			d, ok := session.Restore(facts, known.Text())
			assert.False(t, ok && !format.Valid())
			assert.False(t, d.Verify() && !ok, "%+v", facts)
			_, _ = d.Replace(format, "1\n2\n", 5) // whatever that gives
		}
	}
	assert.False(t, session.Format(4).Valid())
	assert.Equal(t, "format 255", session.Format(255).String())
	assert.Equal(t, "lines", fmt.Sprint(session.FormatLines))
}

// A document that says something else than its text is found out.
func TestVerify(t *testing.T) {
	for format, text := range map[session.Format]string{
		session.FormatMeerkat: document("[" + user("a") + "]"),
		session.FormatLines:   "1\n2\n",
		session.FormatOpaque:  "1\n2\n",
	} {
		d := scratch(t, format, text, map[session.Format]uint64{session.FormatOpaque: 2}[format])
		restored, ok := session.Restore(d.Facts(), d.Text())
		require.True(t, ok)
		assert.True(t, restored.Verify())
		facts := d.Facts()
		facts.Digest[5]++
		restored, ok = session.Restore(facts, d.Text())
		assert.True(t, ok)
		assert.False(t, restored.Verify())
		other := session.TextOf(strings.Replace(text, "1", "3", 1))
		restored, ok = session.Restore(d.Facts(), other)
		assert.True(t, ok)
		assert.Equal(t, format == session.FormatMeerkat, restored.Verify()) // whose digest is of the messages
	}
}

// Many may go on from one document at once, though its hash is made when the first of
// them does. It does not change.
func TestRestoredDocumentIsShared(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, format := range []session.Format{session.FormatLines, session.FormatOpaque, session.FormatMeerkat} {
		text := linesIn(r)
		if format == session.FormatMeerkat {
			text = document("[" + strings.Repeat(user("a")+",", 3000) + user("b") + "]")
		}
		first := scratch(t, format, text, 0)
		d, ok := session.Restore(first.Facts(), first.Text())
		require.True(t, ok)
		var wg sync.WaitGroup
		for i := range 8 {
			more := fmt.Sprintf("{\"a\":%d}\n", i)
			whole := text + more
			if format == session.FormatMeerkat {
				whole = strings.Replace(text, user("b")+"]", user("b")+","+user(fmt.Sprint(i))+"]", 1)
			}
			want := scratch(t, format, whole, 0)
			wg.Go(func() {
				got, err := d.Replace(format, whole, 0)
				if assert.NoError(t, err) {
					assert.Equal(t, want.Facts(), got.Facts())
				}
				if format.Grows() {
					addition, err := session.ReadAddition(format, more, 0)
					assert.NoError(t, err)
					got = addition.To(d)
					assert.Equal(t, want.Facts(), got.Facts())
					assert.True(t, whole == got.Text().String())
					assert.True(t, d.Hashed())
				}
				assert.True(t, d.Verify())
			})
		}
		wg.Wait()
		same(t, first, d)
	}
}
