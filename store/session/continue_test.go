package session_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// agree requires that going on from last gives what reading from scratch gives.
func agree(t *testing.T, last *session.Document, text string) (next *session.Document, ok bool) {
	t.Helper()
	want, wantErr := session.Read(text)
	got, err := last.Replace(session.FormatMeerkat, text, 0)
	if wantErr != nil {
		require.Equal(t, wantErr, err)
		return nil, false
	}
	require.NoError(t, err)
	require.Equal(t, want.Digest(), got.Digest())
	require.Equal(t, want.MessageCount(), got.MessageCount())
	require.Equal(t, want.ID(), got.ID())
	require.Equal(t, text, got.Text().String())
	return got, true
}

func user(content string) string { return `{"role":"user","content":"` + content + `"}` }

func TestContinue(t *testing.T) {
	a, b, c := user("a"), user("b"), `{"content":"\u0063","role":"user"}`
	for name, grown := range map[string][2]string{
		"grown":                     {"[" + a + "]", "[" + a + "," + b + "]"},
		"grown by two":              {"[" + a + "]", "[" + a + "," + b + "," + c + "]"},
		"the same":                  {"[" + a + "," + b + "]", "[" + a + "," + b + "]"},
		"cut":                       {"[" + a + "," + b + "]", "[" + a + "]"},
		"from none":                 {"[]", "[" + a + "]"},
		"to none":                   {"[" + a + "]", "[]"},
		"one put in between":        {"[" + a + "," + b + "]", "[" + a + "," + c + "," + b + "]"},
		"a space before the comma":  {"[" + a + "]", "[" + a + " ," + b + "]"},
		"a space in front":          {"[" + a + "]", "[ " + a + "," + b + "]"},
		"old one spelled otherwise": {"[ " + c + "]", "[ " + c + "," + a + "]"},
		"old one spelled as arrays": {`[["user","a"]]`, `[["user","a"],["user","b"]]`},
		"grown by what is none":     {"[" + a + "]", "[" + a + ",1]"},
		"no comma":                  {"[" + a + "]", "[" + a + b + "]"},
		"the end is missing":        {"[" + a + "]", "[" + a},
		"another last one":          {"[" + a + "]", "[" + user(`a\n`) + "]"},
	} {
		t.Run(name, func(t *testing.T) {
			last, err := session.Read(document(grown[0]))
			require.NoError(t, err)
			if next, ok := agree(t, last, document(grown[1])); ok { // and on from there, and again
				agree(t, next, document("["+a+"]"))
				agree(t, next, document(grown[1]))
				agree(t, last, document(grown[1]))
			}
		})
	}
	last, err := session.Read(document("[" + a + "]"))
	require.NoError(t, err)
	for _, text := range []string{ // the messages in other places
		`{"messages":[` + a + "," + b + `],` + strings.Replace(document("[]"), `"messages":[],`, "", 1)[1:],
		`[1,"0195b1c2-0000-7000-8000-000000000001",[` + a + "," + b + `],[1,2],[3,4]]`,
		"", "[", `{"messages":[` + a,
	} {
		agree(t, last, text)
	}
}

// TestContinueProperty edits random conversations at random places, and
// compares each step with reading from scratch.
func TestContinueProperty(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			last := new(session.Document)
			var messages []string
			for range 30 {
				messages = edit(r, messages)
				text := document(join(r, messages))
				if r.IntN(20) == 0 { // or anything at all
					text = mangle(r, text)
				}
				if next, ok := agree(t, last, text); ok {
					last = next
				}
			}
		})
	}
}

// edit grows, cuts or changes a conversation; most of the time it grows.
func edit(r *rand.Rand, messages []string) []string {
	messages = slices.Clone(messages)
	switch n := r.IntN(10); {
	case n == 0 && len(messages) > 0:
		return messages[:r.IntN(len(messages))]
	case n == 1 && len(messages) > 0:
		messages[r.IntN(len(messages))] = anyMessage(r)
		return messages
	case n == 2:
		return slices.Insert(messages, r.IntN(len(messages)+1), anyMessage(r))
	}
	for range r.IntN(4) {
		messages = append(messages, anyMessage(r))
	}
	return messages
}

func anyMessage(r *rand.Rand) string {
	text := []string{"", "a", `\n`, `\u00e9`, "é", "]", "},{", strings.Repeat("long ", 200)}[r.IntN(8)]
	return []string{
		user(text),
		`{"content":"` + text + `","role":"system"}`,
		`["user","` + text + `"]`,
		`{"role":"user", "content":"` + text + `"}`,
		`{"role":"block_assistant","blocks":[{"block_type":"tool_use","data":{"id":"i","name":"n","args":{"a":"` + text + `","b":[1,2.5]}}}],"stop_reason":"tool_use"}`,
		`{"role":"block_assistant","blocks":[{"block_type":"tool_use","data":{"id":"i","name":"n","args":{"b":"` + text + `","a":1e2}}}],"stop_reason":"tool_use"}`,
		`{"role":"tool_results","results":[{"tool_use_id":"i","content":"` + text + `","is_error":false}]}`,
	}[r.IntN(7)]
}

func join(r *rand.Rand, messages []string) string {
	comma := []string{",", ",", ",", " ,", ", "}[r.IntN(5)]
	return "[" + strings.Join(messages, comma) + "]"
}

// mangle changes one byte, or takes one out.
func mangle(r *rand.Rand, text string) string {
	at := r.IntN(len(text))
	return text[:at] + []string{"", `"`, "]", "x", "\xff", " "}[r.IntN(6)] + text[at+1:]
}

// The place of an error is one in the whole text, whatever stood before.
func TestErrorsAfterAnotherDocumentNameTheirPlace(t *testing.T) {
	for _, before := range []struct {
		format session.Format
		text   string
	}{
		{session.FormatUnset, "{}\n"}, {session.FormatMeerkat, `{"id":"0195b1c2-0000-7000-8000-000000000001","messages":[` + user("x") + `],"created_at":[1,2],"updated_at":[3,4]}`}, {session.FormatOpaque, "{}\n"},
		{session.FormatLines, ""}, {session.FormatLines, "[]\n[]\n"}, {session.FormatLines, "{}\n"},
	} {
		d, err := (*session.Document)(nil).Replace(before.format, before.text, 0)
		require.NoError(t, err)
		_, err = d.Replace(session.FormatLines, "{}\nx\n", 0)
		where, ok := errors.AsType[*session.Error](err)
		require.True(t, ok)
		assert.Equal(t, 2, where.Line, "after %v %q", before.format, before.text)
		assert.Equal(t, 3, where.Offset, "after %v %q", before.format, before.text)
	}
}

// TestContinueSharesParts changes what stands before and after the messages of a long
// conversation that goes on. The text has the very bytes, whatever was known of it.
func TestContinueSharesParts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	messages := make([]string, 60)
	for i := range messages {
		messages[i] = user(bytesLike(r, "words", 1000))
	}
	text := document("[" + strings.Join(messages, ",") + "]")
	long := strings.Replace(text, `"metadata":{}`, `"metadata":{"a":"`+strings.Repeat("x", 40_000)+`"}`, 1)
	grown := strings.Replace(text, messages[59], messages[59]+","+messages[3], 1)
	for name, c := range map[string][2]string{
		"the same":         {text, text},
		"grown":            {text, grown},
		"another id":       {text, strings.Replace(grown, "0195b1c2", "0195b1c3", 1)},
		"a longer head":    {text, " " + grown},
		"an edited one":    {text, strings.Replace(grown, messages[30], user("b"), 1)},
		"another end":      {long, strings.Replace(long, "xxx", "xyx", 1)},
		"cut":              {grown, text},
		"the end is moved": {long, strings.Replace(text, messages[59], messages[59]+","+user(strings.Repeat("x", 40_000)), 1)},
	} {
		last, err := session.Read(c[0])
		require.NoError(t, err, name)
		next, ok := agree(t, last, c[1])
		require.True(t, ok, name)
		holds(t, next.Text(), c[1])
	}
}
