package session

import "bytes"

// canonical skips a value of type s and reports whether its text is, to the byte,
// what rewrite would write. If it is not, the position is anywhere: the caller
// goes back and rewrites.
func (r *reader) canonical(s *schema) bool {
	switch s.kind {
	case kindString:
		return r.canonicalString()
	case kindBool:
		return r.literal("true") || r.literal("false")
	case kindUint:
		return r.canonicalUint(s.max)
	case kindJSON:
		return r.canonicalJSON()
	case kindEnum:
		return r.canonicalEnum(s.names)
	case kindList:
		return r.canonicalList(s.elem)
	case kindStruct:
		return r.open() && r.canonicalFields(s.fields, true)
	case kindInternal:
		v := r.canonicalTag(s)
		return v != nil && r.canonicalFields(v.fields, false)
	default: // kindAdjacent
		v := r.canonicalTag(s)
		return v != nil && r.literal(`,"`+s.content+`":`) && r.open() &&
			r.canonicalFields(v.fields, true) && r.close()
	}
}

func (r *reader) open() bool {
	if r.depth == maxDepth || !r.literal("{") {
		return false
	}
	r.depth++
	return true
}

func (r *reader) close() bool {
	r.depth--
	return r.literal("}")
}

func (r *reader) canonicalTag(s *schema) *variant {
	if !r.open() {
		return nil
	}
	for i := range s.variants {
		if r.literal(s.variants[i].lead) {
			return &s.variants[i]
		}
	}
	return nil
}

func (r *reader) canonicalFields(all []field, first bool) bool {
	for i := range all {
		f := &all[i]
		start := r.pos
		if !first && !r.literal(",") || !r.literal(f.lead) {
			if f.absent != "" || !f.nullable {
				return false
			}
			r.pos = start
			continue
		}
		first = false
		if f.absent == "null" && r.literal("null") {
			continue
		}
		if !r.canonical(f.of) {
			return false
		}
	}
	return r.close()
}

func (r *reader) canonicalList(elem *schema) bool {
	if r.depth == maxDepth || !r.literal("[") {
		return false
	}
	r.depth++
	for first := true; !r.literal("]"); first = false {
		if !first && !r.literal(",") || !r.canonical(elem) {
			return false
		}
	}
	r.depth--
	return true
}

func (r *reader) canonicalEnum(names []string) bool {
	start := r.pos
	for _, name := range names {
		if r.literal(`"`) && r.literal(name) && r.literal(`"`) {
			return true
		}
		r.pos = start
	}
	return false
}

func (r *reader) canonicalUint(limit uint64) bool {
	if !r.digit() {
		return false
	}
	_, err := r.uint(limit)
	return err == nil
}

// canonicalString accepts a string that has the shortest escapes.
func (r *reader) canonicalString() bool {
	start := r.pos
	if start == len(r.in) || r.in[start] != '"' {
		return false
	}
	if escaped, err := r.skipString(true); err != nil || !escaped {
		return err == nil
	}
	for text := r.in[start+1 : r.pos]; ; {
		at := bytes.IndexByte(text, '\\')
		if at < 0 {
			return true
		}
		n := shortestEscape(text[at:])
		if n == 0 {
			return false
		}
		text = text[at+n:]
	}
}

// shortestEscape returns the length of the escape that b begins with, or 0 if the
// character has a shorter one. The escape is valid and complete.
func shortestEscape(b []byte) int {
	switch {
	case b[1] == '/':
		return 0
	case b[1] != 'u':
		return 2
	}
	if b[2] != '0' || b[3] != '0' || b[4] > '1' {
		return 0
	}
	switch low := b[5]; {
	case 'A' <= low && low <= 'F':
		return 0
	case b[4] == '0' && (low == '8' || low == '9' || low == 'a' || low == 'c' || low == 'd'):
		return 0 // \b \t \n \f \r
	}
	return 6
}

func (r *reader) canonicalJSON() bool {
	if r.pos == len(r.in) {
		return false
	}
	switch c := r.in[r.pos]; {
	case c == '"':
		return r.canonicalString()
	case c == '{':
		return r.canonicalObject()
	case c == '[':
		return r.canonicalList(jsonValue)
	case c == '-' || '0' <= c && c <= '9':
		return r.canonicalNumber()
	}
	return r.word() == nil
}

// canonicalObject accepts an object whose members are in ascending order. A name
// with escapes is left to rewrite, because decoded names are what is ordered.
func (r *reader) canonicalObject() bool {
	if !r.open() {
		return false
	}
	var last []byte
	for first := true; !r.literal("}"); first = false {
		if !first && !r.literal(",") || r.pos == len(r.in) || r.in[r.pos] != '"' {
			return false
		}
		start := r.pos + 1
		if escaped, err := r.skipString(true); err != nil || escaped {
			return false
		}
		name := r.in[start : r.pos-1]
		if !first && bytes.Compare(last, name) >= 0 || first && string(name) == rawValueKey {
			return false
		}
		last = name
		if !r.literal(":") || !r.canonicalJSON() {
			return false
		}
	}
	r.depth--
	return true
}

func (r *reader) canonicalNumber() bool {
	start := r.pos
	n, err := r.number()
	if err != nil {
		return false
	}
	var buf [32]byte
	return bytes.Equal(appendNumber(buf[:0], n), r.in[start:r.pos])
}
