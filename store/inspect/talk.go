package inspect

import (
	"slices"
	"strings"

	"github.com/loopstore/loopstore/store"
)

const (
	maxMessage = 8 << 20  // bytes of one message that are read
	maxRead    = 16 << 20 // bytes of a text that are read at once
	maxSplit   = 64 << 20 // bytes of a text in which messages are looked for
)

// A talk is a conversation, taken apart into messages. It keeps no list of them: it looks
// through the text for those that are asked for.
type talk struct {
	snapshot store.Snapshot
	from     int  // where the array of the messages begins
	lines    bool // a message is a line
	Count    int
}

// talkOf takes a snapshot apart. ok is false if it is no conversation that can be told from
// any other text.
func talkOf(s store.Snapshot) (t *talk, ok bool) {
	t = &talk{snapshot: s}
	switch s.Format() {
	case store.FormatLines:
		t.lines, t.Count = true, int(s.MessageCount())
		return t, s.Len() <= 4*maxSplit
	case store.FormatMeerkat:
		t.from, t.Count = s.Document().Facts().From, int(s.MessageCount())
		return t, s.Len() <= maxSplit
	}
	if s.Len() > maxRead || !t.sniff(s.String()) {
		return nil, false
	}
	for range t.messages() {
		t.Count++
	}
	return t, t.Count > 0
}

// sniff reports whether a text whose format is not known looks like messages, and where
// they are.
func (t *talk) sniff(text string) bool {
	t.from = len(text) - len(strings.TrimLeft(text, blank))
	v := value(text[t.from:])
	switch {
	case v.is('['):
		for first := range v.elements() {
			return first.is('{')
		}
	case v.is('{'):
		whole := end(text, t.from)
		if rest := valueOf(text[whole:]); rest != "" {
			t.lines = rest.is('{') && !strings.Contains(text[t.from:whole], "\n")
			return t.lines
		}
		for name, place := range v.places() {
			if name := plain(name); (name == "messages" || name == "contents" || name == "events" || name == "history") && v[place.from] == '[' {
				t.from += place.from
				return true
			}
		}
		if m := (reader{most: maxName}).message(v); m.Understood {
			t.lines = !strings.Contains(text[t.from:whole], "\n")
			return t.lines
		}
	}
	return false
}

// messages returns where the messages are.
func (t *talk) messages() func(yield func(span) bool) {
	return func(yield func(span) bool) {
		s, at := splitter{lines: t.lines, from: t.from, yield: yield}, 0
		for part := range t.snapshot.Parts() {
			if skip := max(t.from-at, 0); skip < len(part) && !s.feed(part[skip:], at+skip) {
				return
			}
			at += len(part)
		}
		if t.lines && s.some {
			s.yield(span{s.from, at})
		}
	}
}

// read returns the messages from one place to before another, as they stand, with the place
// of the first and their lengths. It returns fewer if they are too long together: the first
// ones, or the last. Of one that is too long by itself it leaves out the rest.
func (t *talk) read(first, last int, fromEnd bool) (texts []string, at int, lengths []int) {
	first, last = max(first, 0), min(last, t.Count)
	var spans []span
	n := 0
	for s := range t.messages() {
		if n >= last {
			break
		}
		if n >= first {
			spans = append(spans, s)
		}
		n++
	}
	if fromEnd {
		slices.Reverse(spans)
	}
	spans = fitting(spans)
	if fromEnd {
		slices.Reverse(spans)
		first = n - len(spans)
	}
	texts, lengths = t.gather(spans)
	return texts, first, lengths
}

// pick is read for messages that do not stand side by side. Their places must ascend.
func (t *talk) pick(places []int) (texts []string, lengths []int) {
	var spans []span
	n := 0
	for s := range t.messages() {
		if len(spans) == len(places) {
			break
		}
		if n == places[len(spans)] {
			spans = append(spans, s)
		}
		n++
	}
	return t.gather(fitting(spans))
}

// fitting returns the first of some spans that are not too long together, but one at least.
func fitting(spans []span) []span {
	total := 0
	for i, s := range spans {
		if total += min(s.to-s.from, maxMessage); total > maxRead && i > 0 {
			return spans[:i]
		}
	}
	return spans
}

// gather returns the messages in some spans, which stand one after the other, and their
// lengths.
func (t *talk) gather(spans []span) (texts []string, lengths []int) {
	at := 0
	var one strings.Builder
	for part := range t.snapshot.Parts() {
		for len(texts) < len(spans) && spans[len(texts)].from < at+len(part) {
			s := spans[len(texts)]
			to := min(s.to, s.from+maxMessage)
			one.WriteString(part[max(s.from-at, 0):max(min(to-at, len(part)), 0)])
			if to > at+len(part) {
				break
			}
			text, length := one.String(), s.to-s.from
			if to == s.to { // nothing is left out
				text = strings.Trim(text, blank)
				length = len(text)
			}
			texts, lengths = append(texts, text), append(lengths, length)
			one.Reset()
		}
		if at += len(part); len(texts) == len(spans) {
			break
		}
	}
	return texts, lengths
}

// A splitter finds the messages of a text that comes in parts: its lines, or the elements
// of an array.
type splitter struct {
	lines  bool
	yield  func(span) bool
	from   int  // where the next message begins
	some   bool // there is something of it
	depth  int
	inside bool // a string
	escape bool // and before it was a backslash
}

// feed takes the next part, which stands at a place of the text. It reports whether it
// wants more.
func (s *splitter) feed(part string, at int) bool {
	if s.lines {
		return s.feedLines(part, at)
	}
	for i := 0; i < len(part); i++ {
		switch c := part[i]; {
		case s.escape:
			s.escape = false
		case s.inside:
			n := strings.IndexAny(part[i:], `"\`)
			if n < 0 {
				return true
			}
			i += n
			s.inside, s.escape = part[i] != '"', part[i] == '\\'
		case c == '"':
			s.inside, s.some = true, true
		case c == '{' || c == '[':
			if s.depth++; s.depth == 1 {
				s.from = at + i + 1
			} else {
				s.some = true
			}
		case c == ',' && s.depth == 1, (c == '}' || c == ']') && s.depth <= 1:
			if s.some && !s.yield(span{s.from, at + i}) || c != ',' {
				return false
			}
			s.from, s.some = at+i+1, false
		case c == '}' || c == ']':
			s.depth--
		case strings.IndexByte(blank, c) < 0:
			s.some = true
		}
	}
	return true
}

func (s *splitter) feedLines(part string, at int) bool {
	for i := 0; i < len(part); {
		n := strings.IndexByte(part[i:], '\n')
		if n < 0 {
			s.some = s.some || strings.Trim(part[i:], blank) != ""
			break
		}
		if (s.some || strings.Trim(part[i:i+n], blank) != "") && !s.yield(span{s.from, at + i + n}) {
			return false
		}
		i += n + 1
		s.from, s.some = at+i, false
	}
	return true
}

// plain returns a member's name in the one spelling in which they are compared: tool_calls,
// toolCalls and ToolCalls are the same to whoever reads them all.
func plain(name string) string { return strings.ToLower(unspelled.Replace(name)) }

var unspelled = strings.NewReplacer("_", "", "-", "")
