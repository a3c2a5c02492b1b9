package session

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// rewrite reads a value of type s in any of its spellings and writes its canonical
// text. It writes each part as it reads it, so that it holds little at a time,
// however large the value.
func (r *reader) rewrite(s *schema) error {
	switch s.kind {
	case kindString:
		return r.rewriteString()
	case kindBool:
		return r.rewriteBool()
	case kindUint:
		n, err := r.uint(s.max)
		r.writeNumber(number{positive, n})
		return err
	case kindJSON:
		return r.rewriteJSON()
	case kindIndexed:
		return r.rewriteIndexed()
	case kindEnum:
		i, err := r.enum(s.tag, s.names)
		if err == nil {
			r.write(`"`)
			r.write(s.names[i])
			r.write(`"`)
		}
		return err
	case kindList:
		return r.rewriteList(s.elem)
	case kindStruct:
		return r.rewriteStruct(s, s.fields, "")
	case kindInternal:
		v, _, _, err := r.variant(s)
		if err != nil {
			return err
		}
		return r.rewriteStruct(s, v.fields, v.lead)
	default: // kindAdjacent
		return r.rewriteAdjacent(s)
	}
}

// check reads a value of type s and writes nothing.
func (r *reader) check(s *schema) error {
	before := r.checking
	r.checking = true
	err := r.rewrite(s)
	r.checking = before
	return err
}

func (r *reader) write(text string) {
	if r.checking {
		return
	}
	if r.sink != nil && len(r.out) >= runLength {
		r.flush()
	}
	r.out = append(r.out, text...)
}

func (r *reader) writeNumber(n number) {
	if !r.checking {
		r.out = appendNumber(r.out, n)
	}
}

// writeQuoted writes valid UTF-8 as a string, which takes at most so many bytes.
func (r *reader) writeQuoted(text []byte, most int) {
	r.write("")
	r.out, _ = jsontext.AppendQuote(slices.Grow(r.out, most), text)
}

// flush hands what was written to the sink.
func (r *reader) flush() {
	r.sink.Write(r.out)
	r.out = r.out[:0]
}

func (r *reader) rewriteString() error {
	r.peek()
	start := r.pos
	text, err := r.str()
	if err == nil && !r.checking {
		r.writeQuoted(text, r.pos-start)
	}
	return err
}

func (r *reader) rewriteBool() error {
	r.peek()
	for _, text := range []string{"true", "false"} {
		if r.literal(text) {
			r.write(text)
			return nil
		}
	}
	return r.fail("expected true or false")
}

// uint reads an integer of at most limit.
func (r *reader) uint(limit uint64) (uint64, error) {
	c := r.peek()
	if c != '-' && (c < '0' || c > '9') {
		return 0, r.fail("expected a number")
	}
	start := r.pos
	n, err := r.number()
	if err == nil && (n.kind != positive || n.bits > limit) {
		r.pos = start
		err = r.fail("expected a whole number in range")
	}
	return n.bits, err
}

// enum reads one of the names. It is a string, or the only member of an object,
// with nothing as its value.
func (r *reader) enum(what string, names []string) (int, error) {
	wrapped := r.peek() == '{'
	if wrapped {
		if err := r.enter(); err != nil {
			return 0, err
		}
	}
	r.peek()
	start := r.pos
	text, err := r.str()
	if err != nil {
		return 0, err
	}
	i := slices.Index(names, string(text))
	if i < 0 {
		r.pos = start
		return 0, r.fail("unknown " + what + ", expected one of " + strings.Join(names, ", "))
	}
	if wrapped {
		err = r.unit()
	}
	return i, err
}

// unit reads the rest of an enum's object: a colon, null or {}, and the brace.
func (r *reader) unit() error {
	if err := r.expect(':', "expected a colon"); err != nil {
		return err
	}
	if r.peek(); !r.literal("null") {
		if r.peek() != '{' {
			return r.fail("expected null")
		}
		if err := r.enter(); err != nil {
			return err
		}
		if err := r.leaveAt('}', "expected null"); err != nil {
			return err
		}
	}
	return r.leaveAt('}', "expected the end of an object")
}

func (r *reader) rewriteList(elem *schema) error {
	if r.peek() != '[' {
		return r.fail("expected an array")
	}
	if err := r.enter(); err != nil {
		return err
	}
	r.write("[")
	for n := 0; ; n++ {
		more, err := r.more(n == 0, ']')
		if err != nil {
			return err
		}
		if !more {
			r.leave()
			r.write("]")
			return nil
		}
		if n > 0 {
			r.write(",")
		}
		if err := r.rewrite(elem); err != nil {
			return err
		}
	}
}

// rewriteStruct writes the fields in order, after lead. Fields that come in order
// are written as they come. From the first that does not, fields are only checked,
// and are written after the last one.
func (r *reader) rewriteStruct(s *schema, all []field, lead string) error {
	var at [8]int // no type has more members
	r.write("{")
	r.write(lead)
	first, next := lead == "", 0
	begin := func(i int) {
		if !first {
			r.write(",")
		}
		r.write(all[i].lead)
		first, next = false, i+1
	}
	seen, err := r.members(s, all, func(i int) error {
		if r.checking || i != next {
			at[i] = r.pos
			return r.check(all[i].of)
		}
		begin(i)
		return r.rewrite(all[i].of)
	})
	if err != nil || r.checking {
		return err
	}
	end, depth := r.pos, r.depth
	for i := next; i < len(all); i++ {
		switch f := &all[i]; {
		case seen&(1<<i) != 0:
			begin(i)
			r.pos, r.depth = at[i], depth+1
			if err := r.rewrite(f.of); err != nil {
				return err
			}
		case f.absent != "":
			begin(i)
			r.write(f.absent)
		}
	}
	r.pos, r.depth = end, depth
	r.write("}")
	return nil
}

func (r *reader) rewriteAdjacent(s *schema) error {
	v, content, end, err := r.variant(s)
	if err != nil {
		return err
	}
	depth := r.depth
	r.pos, r.depth = content, depth+1
	if r.peek() != '{' { // the only struct that cannot be an array
		return r.fail("expected an object")
	}
	r.write("{")
	r.write(v.lead)
	r.write(`,"`)
	r.write(s.content)
	r.write(`":`)
	if err := r.rewriteStruct(blockData, v.fields, ""); err != nil {
		return err
	}
	r.write("}")
	r.pos, r.depth = end, depth
	return nil
}
