package session

// word skips true, false or null.
func (r *reader) word() error {
	if r.literal("true") || r.literal("false") || r.literal("null") {
		return nil
	}
	return r.fail("expected a value")
}

// A walk says what a value is that is walked over.
type walk uint8

const (
	walkUnknown walk = iota // an unknown member's
	walkJSON                // args or metadata, where an object may be a raw value
	walkIndex               // args, and the members of its objects go to the index
)

// skip skips the value of an unknown member, by the rules for any value.
func (r *reader) skip() error { return r.walk(walkUnknown) }

func (r *reader) walk(w walk) error {
	switch c := r.peek(); {
	case c == '"':
		_, err := r.str()
		return err
	case c == '-' || '0' <= c && c <= '9':
		_, err := r.number()
		return err
	case c == '[':
		return r.walkArray(w)
	case c == '{':
		return r.walkObject(w, w != walkUnknown)
	}
	return r.word()
}

func (r *reader) walkArray(w walk) error {
	if err := r.enter(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		more, err := r.more(n == 0, ']')
		if err != nil {
			return err
		}
		if !more {
			r.leave()
			return nil
		}
		if err := r.walk(w); err != nil {
			return err
		}
	}
}

// walkObject walks over an object. It is a raw value if it may be one and its
// first member says so.
func (r *reader) walkObject(w walk, mayBeRaw bool) error {
	var last uint32 // member, in the index
	isRaw := false
	err := r.object(func(n int, at int, name []byte) error {
		if isRaw {
			return r.fail("more than a raw value in its object")
		}
		if isRaw = mayBeRaw && n == 0 && string(name) == rawValueKey; isRaw {
			return r.rawValue(func(inner *reader) error { return inner.walk(walkJSON) })
		}
		if w == walkIndex {
			var ok bool
			if last, ok = r.index.add(last, at); !ok {
				return r.fail("a JSON value of more than 4 GB")
			}
		}
		return r.walk(w)
	})
	if err == nil {
		r.leave()
	}
	return err
}

// skipUnread skips a value as Meerkat does where it builds none: of any depth,
// with any numbers and any encoding, but with correct punctuation.
func (r *reader) skipUnread() error {
	var open nesting
	first := true // in the innermost array or object
	for {
		if open.depth > 0 {
			more, err := r.more(first, open.end())
			if err != nil {
				return err
			}
			first = false
			if !more {
				r.pos++
				if open.depth--; open.depth == 0 {
					return nil
				}
				continue
			}
			if open.end() == '}' {
				if err := r.skipUnreadKey(); err != nil {
					return err
				}
			}
		}
		c := r.peek()
		if c == '[' || c == '{' {
			r.pos++
			open.push(c)
			first = true
			continue
		}
		if err := r.skipUnreadScalar(c); err != nil || open.depth == 0 {
			return err
		}
	}
}

// A nesting is a stack of the arrays and objects that are open. Each takes a bit.
type nesting struct {
	objects []byte // bit n%8 of byte n/8 says whether entry n is an object
	depth   int
}

func (n *nesting) push(open byte) {
	if n.depth == 8*len(n.objects) {
		n.objects = append(n.objects, 0)
	}
	bit := byte(1) << (n.depth % 8)
	n.objects[n.depth/8] &^= bit
	if open == '{' {
		n.objects[n.depth/8] |= bit
	}
	n.depth++
}

// end returns the bracket that closes the top one.
func (n *nesting) end() byte {
	if top := n.depth - 1; n.objects[top/8]>>(top%8)&1 == 1 {
		return '}'
	}
	return ']'
}

func (r *reader) skipUnreadKey() error {
	if r.peek() != '"' {
		return r.fail("expected a member's name")
	}
	if _, err := r.skipString(false); err != nil {
		return err
	}
	return r.expect(':', "expected a colon")
}

func (r *reader) skipUnreadScalar(c byte) error {
	switch {
	case c == '"':
		_, err := r.skipString(false)
		return err
	case c == '-' || '0' <= c && c <= '9':
		return r.skipNumber()
	}
	return r.word()
}
