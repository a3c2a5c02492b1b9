package session

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// asLines are the options of a decoder of JSON Lines. Of what may be escaped RFC 8259
// says nothing, and so half a surrogate may be.
var asLines = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// readLines reads JSON Lines, and returns how many there are. The error is an
// *Error.
func readLines(text string) (lines uint64, err error) {
	fail := func(at int, reason string) (uint64, error) {
		return 0, &Error{Offset: at, Message: -1, Line: 1 + strings.Count(text[:at], "\n"), Reason: reason}
	}
	if !utf8.ValidString(text) {
		return fail(validLength(text), "invalid UTF-8")
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(bytesOf(text)), asLines...)
	for at := 0; at < len(text); lines++ {
		start, newline := skipSpace(text, at), at+indexOrEnd(text[at:], '\n')
		if start == newline {
			return fail(start, "expected a JSON value in the line")
		}
		end, reason := skipValue(dec)
		switch {
		case end > newline || end == newline && newline < len(text) && reason != "":
			return fail(newline, "the line ends within a value")
		case reason != "":
			return fail(end, reason)
		}
		switch end = skipSpace(text, end); {
		case end == len(text):
			return fail(end, `expected "\n" at the line's end`)
		case end < newline:
			return fail(end, `expected "\n" after the value`)
		}
		at = newline + 1
	}
	return lines, nil
}

// indexOrEnd returns where c is first, or the text's length if it is nowhere.
func indexOrEnd(text string, c byte) int {
	if at := strings.IndexByte(text, c); at >= 0 {
		return at
	}
	return len(text)
}

// skipSpace returns where something else than white space of a line comes.
func skipSpace(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r') {
		at++
	}
	return at
}

// validLength returns how many bytes are valid UTF-8.
func validLength(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size <= 1 {
				return i
			}
		}
	}
	return len(text)
}

// skipValue returns where a value ends. If there is none the reason says what is
// wrong there, without quoting any of it.
func skipValue(dec *jsontext.Decoder) (end int, reason string) {
	err := dec.SkipValue()
	end = int(dec.InputOffset())
	if err == nil {
		return end, ""
	}
	if where, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		end = int(where.ByteOffset)
	}
	return end, reasonOf(err)
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the text ends within a value"
	case strings.Contains(err.Error(), "exceeded max depth"):
		return "a value of more than 10,000 levels"
	}
	return "expected a JSON value"
}
