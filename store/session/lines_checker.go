package session

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A linesChecker reads JSON Lines that are in parts, by the rules of readLines. Its
// decoder is given line after line of one text after another. For each line it is at
// the end then: one that begins anew would let go of what it has for deep values.
type linesChecker struct {
	dec     *jsontext.Decoder
	text    Text
	at, end int // of the line that the decoder reads
}

// read returns how many lines a text has from a place on. The error is an *Error,
// which says in which line it is, and where that begins.
func (c *linesChecker) read(text Text, from int) (lines uint64, err error) {
	if c.dec == nil {
		c.dec = jsontext.NewDecoder(c, asLines...)
	}
	c.text = text
	fail := func(reason string) (uint64, error) {
		c.dec = nil
		return 0, &Error{Offset: from, Message: -1, Line: 1 + int(lines), Reason: reason}
	}
	var characters utf8Checker
	at := from
	for part := range text.between(from, text.Len()) {
		if !characters.add(part) {
			return fail("invalid UTF-8")
		}
		for rest := part; ; lines++ {
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				at += len(rest)
				break
			}
			rest, at = rest[n+1:], at+n+1
			if reason := c.line(from, at); reason != "" {
				return fail(reason)
			}
			from = at
		}
	}
	if from < at {
		return fail(`expected "\n" at the line's end`)
	}
	return lines, nil
}

// line reads one line, with its end, and says what is wrong with it.
func (c *linesChecker) line(from, to int) (reason string) {
	c.at, c.end = from, to
	if err := c.dec.SkipValue(); err != nil {
		return reasonOf(err)
	}
	if _, err := c.dec.ReadToken(); err != io.EOF {
		return `expected "\n" after the value`
	}
	return ""
}

// Read gives the decoder more of the line.
func (c *linesChecker) Read(p []byte) (n int, err error) {
	if c.at == c.end {
		return 0, io.EOF
	}
	for part := range c.text.between(c.at, min(c.end, c.at+len(p))) {
		n += copy(p[n:], part)
	}
	c.at += n
	return n, nil
}

// A utf8Checker looks whether bytes that come in parts are valid UTF-8. A character
// that the last part does not end is none.
type utf8Checker struct {
	begun [utf8.UTFMax]byte // a character
	n     int               // how many bytes it has so far
}

// add reports whether another part may follow those before.
func (c *utf8Checker) add(part string) bool {
	for ; c.n > 0 && part != ""; part = part[1:] {
		c.begun[c.n] = part[0]
		if c.n++; utf8.FullRune(c.begun[:c.n]) {
			if !utf8.Valid(c.begun[:c.n]) {
				return false
			}
			c.n = 0
		}
	}
	whole := len(part)
	for n := 1; n < utf8.UTFMax && n <= len(part); n++ {
		if last := part[len(part)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRuneInString(last) {
				whole -= n
				c.n = copy(c.begun[:], last)
			}
			break
		}
	}
	return utf8.ValidString(part[:whole])
}
