package session

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// rewrite reads a value of type s in any of its spellings and appends its
// canonical text to r.out.
func (r *reader) rewrite(s *schema) error {
	switch s.kind {
	case kindString:
		return r.rewriteString()
	case kindBool:
		return r.rewriteBool()
	case kindUint:
		n, err := r.uint(s.max)
		r.out = appendNumber(r.out, number{positive, n})
		return err
	case kindJSON:
		return r.rewriteJSON()
	case kindEnum:
		i, err := r.enum(s.tag, s.names)
		if err == nil {
			r.out = append(append(append(r.out, '"'), s.names[i]...), '"')
		}
		return err
	case kindList:
		return r.rewriteList(s.elem)
	case kindStruct:
		return r.rewriteStruct(s, s.fields, "")
	case kindInternal:
		v, _, err := r.variant(s)
		if err != nil {
			return err
		}
		return r.rewriteStruct(s, v.fields, v.lead)
	default: // kindAdjacent
		return r.rewriteAdjacent(s)
	}
}

func (r *reader) rewriteString() error {
	text, err := r.str()
	if err == nil {
		r.out, err = jsontext.AppendQuote(r.out, text)
	}
	return err
}

func (r *reader) rewriteBool() error {
	r.peek()
	for _, text := range []string{"true", "false"} {
		if r.literal(text) {
			r.out = append(r.out, text...)
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

// enum reads one of the names: a string, or an object with the name as its
// only member and nothing in it.
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

// unit reads what an enum's object holds: a colon, null or {}, and its end.
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
	r.out = append(r.out, '[')
	for n := 0; ; n++ {
		more, err := r.more(n == 0, ']')
		if err != nil {
			return err
		}
		if !more {
			r.leave()
			r.out = append(r.out, ']')
			return nil
		}
		if n > 0 {
			r.out = append(r.out, ',')
		}
		if err := r.rewrite(elem); err != nil {
			return err
		}
	}
}

// rewriteStruct writes the fields in order, after lead. They are written as
// they come first, and put in order then.
func (r *reader) rewriteStruct(s *schema, all []field, lead string) error {
	type segment struct{ from, to int }
	var at [8]segment // no type that is written has more members
	start := len(r.out)
	seen, err := r.members(s, all, func(i int) error {
		from := len(r.out)
		err := r.rewrite(all[i].of)
		at[i] = segment{from, len(r.out)}
		return err
	})
	if err != nil {
		return err
	}
	end := len(r.out)
	r.out = append(append(r.out, '{'), lead...)
	for i, f := range all {
		text := []byte(f.absent)
		if seen&(1<<i) != 0 {
			text = r.out[at[i].from:at[i].to]
		} else if f.absent == "" {
			continue
		}
		if len(r.out) > end+1 {
			r.out = append(r.out, ',')
		}
		r.out = append(append(r.out, f.lead...), text...)
	}
	r.out = append(r.out, '}')
	r.moveDown(start, end)
	return nil
}

// moveDown drops what was written from start to end.
func (r *reader) moveDown(start, end int) {
	r.out = r.out[:start+copy(r.out[start:], r.out[end:])]
}

func (r *reader) rewriteAdjacent(s *schema) error {
	v, content, err := r.variant(s)
	if err != nil {
		return err
	}
	depth := r.depth
	if err := r.skip(); err != nil {
		return err
	}
	end := r.pos
	r.pos, r.depth = content, depth+1
	if r.peek() != '{' { // the only struct without an array spelling
		return r.fail("expected an object")
	}
	r.out = append(append(r.out, '{'), v.lead...)
	r.out = append(append(append(r.out, `,"`...), s.content...), `":`...)
	if err := r.rewriteStruct(blockData, v.fields, ""); err != nil {
		return err
	}
	r.out = append(r.out, '}')
	r.pos, r.depth = end, depth
	return nil
}
