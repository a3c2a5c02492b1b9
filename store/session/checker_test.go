package session_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// cutAnywhere returns a text in parts that end where nobody cuts, also within a
// character.
func cutAnywhere(text string, at func(n int) int) session.Text {
	var parts []*session.Part
	for text != "" {
		n := min(1+at(len(text)), session.MaxBytes)
		parts = append(parts, session.LeafOf(text[:n]))
		text = text[n:]
	}
	for len(parts) > 1 {
		var lists []*session.Part
		for listed := range slices.Chunk(parts, 2+at(4)) {
			lists = append(lists, session.ListOf(slices.Clone(listed)))
		}
		parts = lists
	}
	if len(parts) == 0 {
		return session.Text{}
	}
	return session.TextWith(parts[0])
}

// A Checker finds what a text is that it is given in parts, whatever it read before.
func TestCheckerReadsAsReplaceDoes(t *testing.T) {
	texts := []string{
		"", "\n", "1", "1\n", "1\n2\r\n", "1\n2", " \t1 \r\n", "1 2\n", "[1,\n2]\n", "[1\n", "\"\xc3\xa4\"\n", "\"\xc3\"\n", "\xff\n", "\xc3\n", "\"x\xe2\x80\xa8\"\n1\n",
		"\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"\n", `"\ud800"` + "\n", `{"a":1,"a":2}` + "\n", "1\n\n2\n", "tru\n", "12\n34\n5", "\ufeff1\n", "\x00\n",
		strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "\n", strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + "\n",
		document("[]"), document(`[{"role":"user","content":"a"}]`), document(`[{"role":"user","content":"a"},{"content":"b","role":"user"}]`),
		document(`[{"role":"user","content":"a"},["user","` + strings.Repeat(`\n`, 20_000) + `"]]`), document("[]") + "x",
	}
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		var checker session.Checker
		standing := ""
		for range 60 {
			text := texts[random.IntN(len(texts))]
			if random.IntN(2) == 0 && len(standing) < 1<<16 {
				text = standing + text
			}
			format := session.Format(random.IntN(4))
			messages := random.Uint64N(5)
			want, wantErr := (*session.Document)(nil).Replace(format, text, messages)
			in := cutAnywhere(text, random.IntN)
			got, err := checker.Read(format, in, messages)
			what := fmt.Sprintf("seed %d: %v of %.40q", seed, format, text)
			if wantErr != nil {
				require.Error(t, err, what)
				require.ErrorAs(t, err, new(*session.Error), what)
				require.Nil(t, got, what)
				continue
			}
			require.NoError(t, err, what)
			require.Equal(t, want.Facts(), got.Facts(), what)
			require.Equal(t, in, got.Text(), what)
			standing = text
		}
	}
}

// What was read before is not read again, as long as it is in front.
func TestCheckerGoesOnFromTheTextBefore(t *testing.T) {
	before := session.LeafOf("1\n")
	for _, format := range []session.Format{session.FormatLines, session.FormatOpaque} {
		var checker session.Checker
		_, err := checker.Read(format, session.TextWith(before), 1)
		require.NoError(t, err)
		longer := session.TextWith(session.ListOf([]*session.Part{before, session.LeafOf("2\n")}))
		d, err := checker.Read(format, longer, 2)
		require.NoError(t, err)
		again, err := (*session.Document)(nil).Replace(format, "1\n2\n", 2)
		require.NoError(t, err)
		assert.Equal(t, again.Facts(), d.Facts())
		assert.True(t, d.Hashed(), "an append goes on from it too")
	}
}
