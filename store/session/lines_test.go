package session_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/session"
)

// lines reads JSON Lines, from scratch.
func lines(text string) (uint64, *session.Error) {
	d, err := new(session.Document).Replace(session.FormatLines, text, 0)
	if err != nil {
		return 0, err.(*session.Error)
	}
	return d.MessageCount(), nil
}

// What JSON Lines are: see FormatLines.
func TestLines(t *testing.T) {
	for text, want := range map[string]uint64{
		"":       0,
		"{}\n":   1,
		"[]\n":   1,
		"null\n": 1,
		"true\n": 1, "false\n": 1,
		"0\n": 1, "-0\n": 1, "1.5e-400\n": 1, "1E+9999\n": 1, strings.Repeat("9", 5000) + "\n": 1,
		`""` + "\n": 1, `"a\n\"\\\/\b\f\r\t\u00e9"` + "\n": 1, `"é語😀"` + "\n": 1, "\"\x7f\u2028\"\n": 1,
		`{"a":[1,{"b":null}],"c":"d"}` + "\n":                                1,
		`{"a":1,"a":2,"":3,"":4}` + "\n":                                     1, // repeated names
		`"\ud800"` + "\n" + `"\udc00\ud800x"` + "\n" + `{"\udfff":1}` + "\n": 3, // halves of surrogates
		`"\u0000"` + "\n":            1,
		"{}\r\n{}\r\n":               2,
		" \t\r{} \t\r\n":             1,
		"{ \t\r}\n":                  1,
		"1\n2\n3\n":                  3,
		nested(10_000) + "\n":        1,
		strings.Repeat("{}\n", 1000): 1000,
		`"` + strings.Repeat("a", 1<<20) + "\"\n":                                  1,
		strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000) + "\n": 1,
	} {
		got, err := lines(text)
		if assert.Nil(t, err, "%.40q", text) {
			assert.Equal(t, want, got, "%.40q", text)
		}
	}
}

// What is no JSON Lines is refused, with the place, also if it comes after lines that
// are known.
func TestLinesRefuses(t *testing.T) {
	const (
		value  = "expected a JSON value"
		blank  = "expected a JSON value in the line"
		within = "the line ends within a value"
		ended  = "the text ends within a value"
		end    = `expected "\n" at the line's end`
		after  = `expected "\n" after the value`
		utf    = "invalid UTF-8"
		deep   = "a value of more than 10,000 levels"
	)
	for _, c := range []struct {
		text         string
		offset, line int
		reason       string
	}{
		{"\n", 0, 1, blank},
		{"{}\n\n{}\n", 3, 2, blank},
		{"{}\n \t\r\n", 6, 2, blank},
		{" ", 1, 1, blank},
		{"{}\n ", 4, 2, blank},
		{"{}", 2, 1, end},
		{"{}\n{}", 5, 2, end},
		{"{}\n{}\r", 6, 2, end},
		{"{}{}\n", 2, 1, after},
		{"1 2\n", 2, 1, after},
		{"{},\n", 2, 1, after},
		{"1\x00\n", 1, 1, after},
		{"[1,\n2]\n", 3, 1, within},
		{"1\n{\n}\n", 3, 2, within},
		{"1\n{\"a\":1\n{\"b\":2}\n", 8, 2, within},
		{"\"a\nb\"\n", 2, 1, within},
		{"[\n\n\n]\n", 1, 1, within},
		{"[1,2\n", 4, 1, within},
		{"[1,2", 4, 1, ended},
		{"1\n{\"a", 5, 2, ended},
		{"tru", 3, 1, ended},
		{"1\n\"\xff\"\n", 3, 2, utf},
		{"1\n\"\xc3", 3, 2, utf},
		{"\"\xed\xa0\x80\"\n", 1, 1, utf}, // half a surrogate, as bytes
		{"\"\xc0\x80\"\n", 1, 1, utf},
		{"\"\xf4\x90\x80\x80\"\n", 1, 1, utf},
		{"\ufeff{}\n", 0, 1, value},
		{"\x00", 0, 1, value},
		{"\"\x00\"\n", 1, 1, value},
		{"\"\x1f\"\n", 1, 1, value},
		{"{}\n\x0c{}\n", 3, 2, value},
		{"{}\n\u00a0{}\n", 3, 2, value},
		{"nul\n", 3, 1, within},
		{"True\n", 0, 1, value},
		{"NaN\n", 0, 1, value},
		{"'a'\n", 0, 1, value},
		{"// a\n", 0, 1, value},
		{"01\n", 1, 1, after},
		{"+1\n", 0, 1, value},
		{".5\n", 0, 1, value},
		{"[1,]\n", 2, 1, value},
		{"{\"a\":1,}\n", 6, 1, value},
		{"{a:1}\n", 1, 1, value},
		{"{\"a\" 1}\n", 5, 1, value},
		{"]\n", 0, 1, value},
		{"\"\\x\"\n", 1, 1, value},
		{"\"\\u12g4\"\n", 1, 1, value},
		{"1\n" + nested(10_001) + "\n", 2 + 10_000, 2, deep},
		{strings.Repeat("[", 1<<20), 10_000, 1, deep},
	} {
		_, err := lines(c.text)
		if assert.NotNil(t, err, "%.40q", c.text) {
			assert.Equal(t, session.Error{Offset: c.offset, Message: -1, Line: c.line, Reason: c.reason}, *err, "%.40q", c.text)
		}
		_, addErr := session.ReadAddition(session.FormatLines, c.text, 0)
		assert.Equal(t, err, addErr)
		for _, known := range []string{"0\n", "{}\r\n[]\n", strings.Repeat("{}\n", 10_000)} {
			d, readErr := new(session.Document).Replace(session.FormatLines, known, 0)
			require.NoError(t, readErr)
			_, laterErr := d.Replace(session.FormatLines, known+c.text, 0)
			assert.Equal(t, &session.Error{
				Offset: len(known) + c.offset, Message: -1, Line: strings.Count(known, "\n") + c.line, Reason: c.reason,
			}, laterErr, "%.40q", c.text)
			_, scratchErr := lines(known + c.text)
			assert.Equal(t, laterErr, scratchErr)
		}
	}
}

// oracle reads JSON Lines line by line, by encoding/json. The line is the first one
// that is refused, from 1.
func oracle(text string) (lines uint64, line int) {
	all := strings.Split(text, "\n")
	for i, one := range all {
		if i == len(all)-1 && one == "" {
			break
		}
		if i == len(all)-1 || !utf8.ValidString(one) || !json.Valid([]byte(one)) {
			return 0, i + 1
		}
	}
	return uint64(len(all) - 1), 0
}

// reasons are all that an error may say.
var reasons = map[string]bool{
	"expected a JSON value": true, "expected a JSON value in the line": true, "the line ends within a value": true,
	"the text ends within a value": true, `expected "\n" at the line's end`: true, `expected "\n" after the value`: true,
	"invalid UTF-8": true, "a value of more than 10,000 levels": true,
}

// asTheOracle requires that a text is read as encoding/json reads it, in one piece and
// after another, and that an error says where it is and nothing of the text.
func asTheOracle(t *testing.T, text string) {
	t.Helper()
	want, line := oracle(text)
	got, err := lines(text)
	if line == 0 {
		require.Nil(t, err)
		require.Equal(t, want, got)
		return
	}
	require.NotNil(t, err)
	require.True(t, reasons[err.Reason], err.Reason)
	require.GreaterOrEqual(t, err.Offset, 0)
	require.LessOrEqual(t, err.Offset, len(text))
	require.Equal(t, 1+strings.Count(text[:err.Offset], "\n"), err.Line)
	if utf8.ValidString(text) {
		require.Equal(t, line, err.Line)
	} else {
		require.Equal(t, "invalid UTF-8", err.Reason)
		require.True(t, utf8.ValidString(text[:err.Offset]))
		require.False(t, utf8.ValidString(text[:min(len(text), err.Offset+utf8.UTFMax)]))
	}
}

func TestLinesProperty(t *testing.T) {
	pieces := []string{
		"\n", "\n", "\n", "{}\n", "1\n", "\r\n", " ", "\t", "{", "}", "[", "]", ",", ":", `"a"`, `"`, `\`, `\u`, "d800",
		"1", "-", ".", "e", "0", "null", "tru", "é", "\xc3", "\x00", "\ufeff", `{"a":1}`, `[1,2]`, "\u2028", "\x7f",
	}
	r := rand.New(rand.NewPCG(1, 17))
	for range 20_000 {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		asTheOracle(t, b.String())
	}
}

// FuzzLines reads anything as lines, as encoding/json does, and in two pieces.
func FuzzLines(f *testing.F) {
	for _, text := range []string{
		"", "\n", "{}\n", "{}\r\n[]\n", "{}\n\n", " \n", "1\n2", "1 2\n", "[1,\n2]\n", "\"\xff\"\n", "\ufeff{}\n", "\x00",
		`"\ud800"` + "\n", `{"a":1,"a":2}` + "\n", `{"a` + "\n", "1e999\n-0\n", nested(10_000) + "\n", nested(10_001) + "\n",
	} {
		f.Add(text, "{}\n")
	}
	f.Fuzz(func(t *testing.T, text, more string) {
		asTheOracle(t, text)
		d, err := new(session.Document).Replace(session.FormatLines, text, 0)
		if err != nil {
			return
		}
		want, wantErr := new(session.Document).Replace(session.FormatLines, text+more, 0)
		got, gotErr := d.Replace(session.FormatLines, text+more, 0)
		require.Equal(t, wantErr, gotErr)
		if wantErr == nil {
			require.Equal(t, want.Facts(), got.Facts())
			addition, err := session.ReadAddition(session.FormatLines, more, 0)
			require.NoError(t, err)
			require.Equal(t, want.Facts(), addition.To(d).Facts())
		}
	})
}
