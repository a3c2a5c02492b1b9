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
		start := skipSpace(text, at)
		if start == len(text) || text[start] == '\n' {
			return fail(start, "expected a JSON value in the line")
		}
		if err := dec.SkipValue(); err != nil {
			return fail(failedAt(err, dec), reasonOf(err))
		}
		end := int(dec.InputOffset())
		if n := strings.IndexByte(text[start:end], '\n'); n >= 0 {
			return fail(start+n, "the line ends within a value")
		}
		end = skipSpace(text, end)
		if end == len(text) {
			return fail(end, `expected "\n" at the line's end`)
		}
		if text[end] != '\n' {
			return fail(end, `expected "\n" after the value`)
		}
		at = end + 1
	}
	return lines, nil
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

func failedAt(err error, dec *jsontext.Decoder) int {
	if where, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return int(where.ByteOffset)
	}
	return int(dec.InputOffset())
}

// reasonOf says what is wrong, without quoting any of it.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the text ends within a value"
	case strings.Contains(err.Error(), "exceeded max depth"):
		return "a value of more than 10,000 levels"
	}
	return "expected a JSON value"
}
