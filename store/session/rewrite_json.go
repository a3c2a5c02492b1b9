package session

import "cmp"

// rawValueKey, as the name of an object's first member, makes the object a raw
// value: Meerkat's JSON library replaces it by the JSON text in that member.
const rawValueKey = "$serde_json::private::RawValue"

// indexed is a part of a JSON value whose members are in the index.
var indexed = &schema{kind: kindIndexed}

// rewriteJSON walks over a value once to fill the index, and once to write it: a
// member's place is known only when the names of all others are.
func (r *reader) rewriteJSON() error {
	if r.checking {
		return r.walk(walkJSON)
	}
	r.peek()
	start, depth := r.pos, r.depth
	r.index.reset(r.in, start)
	if err := r.walk(walkIndex); err != nil {
		return err
	}
	r.pos, r.depth = start, depth
	return r.rewriteIndexed()
}

func (r *reader) rewriteIndexed() error {
	switch c := r.peek(); {
	case c == '"':
		return r.rewriteString()
	case c == '{':
		return r.rewriteObject()
	case c == '[':
		return r.rewriteList(indexed)
	case c == '-' || '0' <= c && c <= '9':
		n, err := r.number()
		r.writeNumber(n)
		return err
	}
	start := r.pos
	err := r.word()
	r.write(string(r.in[start:r.pos]))
	return err
}

// rewriteObject writes the members in ascending order of their names. Of those
// with the same name it writes the last.
func (r *reader) rewriteObject() error {
	if err := r.enter(); err != nil {
		return err
	}
	if r.peek() == '}' {
		r.leave()
		r.write("{}")
		return nil
	}
	if name, err := r.key(); err != nil {
		return err
	} else if string(name) == rawValueKey {
		return cmp.Or(r.rawValue((*reader).rewriteJSON), r.leaveAt('}', "expected the end of an object"))
	}
	first, last := r.index.sort()
	end, next := 0, uint32(0)
	open := "{"
	for i := first; i > 0; {
		after := r.index.entry(i).next
		if after == 0 || r.index.compare(i, after) != 0 {
			r.write(open)
			open = ","
			r.pos, r.index.next = r.index.position(i), i+1
			if err := r.rewriteMember(); err != nil {
				return err
			}
			if i == last {
				end, next = r.pos, r.index.next
			}
		}
		i = after
	}
	r.write("}")
	r.pos, r.index.next = end, next
	return r.leaveAt('}', "expected the end of an object")
}

func (r *reader) rewriteMember() error {
	if err := r.rewriteString(); err != nil {
		return err
	}
	if err := r.expect(':', "expected a colon"); err != nil {
		return err
	}
	r.write(":")
	return r.rewriteIndexed()
}

// maxRaw is how deep raw values may nest. Meerkat has no limit. Here each level
// holds a copy of all levels below, so there is a limit of their bytes too: together
// at most twice the outermost one's. It depends on nothing else, so a document is
// taken or refused alike whether it is read whole or from where another ends.
const (
	maxRaw   = 8
	smallRaw = 4 << 10 // bytes that nested ones may have in any case
)

// rawValue decodes the string in a raw value and calls read to read its JSON.
func (r *reader) rawValue(read func(inner *reader) error) error {
	start := r.pos
	text, err := r.str()
	if err != nil {
		return err
	}
	reason, room := "", r.room
	if r.raw == 0 {
		room = max(2*len(text), smallRaw)
	}
	switch {
	case r.raw == maxRaw:
		reason = "raw values nested too deep"
	case len(text) > room:
		reason = "raw values too large"
	default:
		if r.inner == nil {
			r.inner = &reader{raw: r.raw + 1}
		}
		in := r.inner
		in.in, in.pos, in.depth, in.room = text, 0, 0, room-len(text)
		in.out, in.sink = r.out, r.sink
		if cmp.Or(read(in), in.end()) != nil {
			reason = "invalid JSON text in a raw value"
		}
		r.out = in.out
	}
	if reason != "" {
		r.pos = start
		return r.fail(reason)
	}
	return nil
}
