package inspect

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A value is the text of a JSON value. It is read where it lies, without a tree: what
// nobody asks for costs one look at its bytes, however deep it is. Text that is not valid
// JSON is read as far as it goes, and never fails.
type value string

const blank = " \t\r\n"

func valueOf(text string) value { return value(strings.Trim(text, blank)) }

func (v value) is(first byte) bool { return v != "" && v[0] == first }

// end returns where the value that begins at a place of a text ends. It is that place if
// there is none.
func end(text string, at int) int {
	for depth := 0; at < len(text); {
		switch c := text[at]; {
		case c == '"':
			at = endOfString(text, at)
		case c == '{' || c == '[':
			depth++
			at++
		case c == '}' || c == ']':
			if depth == 0 {
				return at
			}
			depth--
			at++
		case depth > 0:
			at++
		default:
			for at < len(text) && strings.IndexByte("\"{}[],:"+blank, text[at]) < 0 {
				at++
			}
			return at
		}
		if depth == 0 {
			break
		}
	}
	return at
}

// endOfString returns where the string that begins at a place ends.
func endOfString(text string, at int) int {
	for at++; ; {
		n := strings.IndexByte(text[at:], '"')
		if n < 0 {
			return len(text)
		}
		escapes := 0
		for escapes < n && text[at+n-1-escapes] == '\\' {
			escapes++
		}
		if at += n + 1; escapes%2 == 0 {
			return at
		}
	}
}

// members returns the members of an object, each with its name.
func (v value) members() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		for name, place := range v.places() {
			if !yield(name, v[place.from:place.to]) {
				return
			}
		}
	}
}

// A span is a part of a text: from one byte to before another.
type span struct{ from, to int }

// places returns where the values of an object's members are.
func (v value) places() iter.Seq2[string, span] {
	return func(yield func(string, span) bool) {
		if !v.is('{') {
			return
		}
		for at := 1; ; {
			n := strings.IndexByte(string(v[at:]), '"')
			if n < 0 {
				return
			}
			from := at + n
			name := endOfString(string(v), from)
			n = strings.IndexByte(string(v[name:]), ':')
			if n < 0 {
				return
			}
			start := name + n + 1
			start += len(v[start:]) - len(strings.TrimLeft(string(v[start:]), blank))
			at = end(string(v), start)
			if at == start || !yield(v[from:name].short(), span{start, at}) {
				return
			}
		}
	}
}

// elements returns the elements of an array.
func (v value) elements() iter.Seq[value] {
	return func(yield func(value) bool) {
		if !v.is('[') {
			return
		}
		for at := 1; ; {
			at += len(v[at:]) - len(strings.TrimLeft(string(v[at:]), blank+","))
			start := at
			if start == len(v) || v[start] == ']' {
				return
			}
			if at = end(string(v), start); at == start || !yield(v[start:at]) {
				return
			}
		}
	}
}

// text returns what a string says, in valid UTF-8.
func (v value) text() (text string, ok bool) {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return "", false
	}
	if strings.IndexByte(string(v), '\\') < 0 {
		return strings.ToValidUTF8(string(v[1:len(v)-1]), "\uFFFD"), true
	}
	ok = json.Unmarshal([]byte(v), &text) == nil
	return text, ok
}

// short returns what a string says, empty if it is none, or longer than a name.
func (v value) short() string {
	const most = 400
	if len(v) > most {
		return ""
	}
	text, _ := v.text()
	return text
}

// number returns a count, 0 if it is none.
func (v value) number() uint64 {
	n, _ := strconv.ParseUint(string(v), 10, 64)
	return n
}

// indented returns JSON as people read it, if it is short enough for that, and else as it is.
func indented(text string) string {
	const most, deepest, line = 16 << 10, 16, 72
	if len(text) <= line && !strings.Contains(text, "\n") || len(text) > most || !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") || depthOf(text) > deepest {
		return text
	}
	var out bytes.Buffer
	if json.Indent(&out, []byte(text), "", "  ") != nil {
		return text
	}
	return out.String()
}

// depthOf returns how deep brackets are nested, those in strings too.
func depthOf(text string) (deepest int) {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

// first returns no more than so many bytes of a text, whole characters of valid UTF-8, and
// whether that is not all.
func firstOf(text string, most int) (some string, cut bool) {
	if cut = len(text) > most; cut {
		end := most
		for end > most-utf8.UTFMax && end > 0 && !utf8.RuneStart(text[end]) { // within a character
			end--
		}
		text = text[:end]
	}
	return strings.ToValidUTF8(text, "\uFFFD"), cut
}
