package session

// members reads a struct that is spelled as an object, or as an array of its
// fields' values. It calls read at the value of each field, unless the field is
// nullable and the value null. Bit i of seen says whether field i was read.
func (r *reader) members(s *schema, all []field, read func(i int) error) (seen uint, err error) {
	switch r.peek() {
	case '{':
		seen, err = r.objectMembers(s, all, read)
	case '[':
		seen, err = r.arrayMembers(s, all, read)
	default:
		err = r.fail("expected an object")
	}
	return seen, err
}

func (r *reader) objectMembers(s *schema, all []field, read func(i int) error) (seen uint, err error) {
	var named uint
	err = r.object(func(_, _ int, name []byte) error {
		i := find(all, name)
		if i < 0 {
			return r.drop(s, name)
		}
		if named&(1<<i) != 0 {
			return r.fail("member named twice")
		}
		named |= 1 << i
		if r.null(&all[i]) {
			return nil
		}
		seen |= 1 << i
		return read(i)
	})
	if err != nil {
		return 0, err
	}
	for i := range all {
		if named&(1<<i) == 0 && all[i].absent == "" && !all[i].nullable {
			return 0, r.fail("missing member " + all[i].name)
		}
	}
	r.leave()
	return seen, nil
}

// object reads an object up to its closing brace. It calls read at the value of
// member n, with the name and its position.
func (r *reader) object(read func(n, at int, name []byte) error) error {
	if err := r.enter(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		more, err := r.more(n == 0, '}')
		if err != nil || !more {
			return err
		}
		at := r.pos
		name, err := r.key()
		if err != nil {
			return err
		}
		if err := read(n, at, name); err != nil {
			return err
		}
	}
}

// drop skips the value of a member that is none of the fields, or that is the
// tag, which was read before.
func (r *reader) drop(s *schema, name []byte) error {
	switch {
	case s.kind == kindInternal && string(name) == s.tag, s.unknown == checkUnknown:
		return r.skip()
	case s.unknown == skipUnknown:
		return r.skipUnread()
	}
	return r.fail("unknown member")
}

// null skips a null if that means that f is absent.
func (r *reader) null(f *field) bool {
	r.peek()
	return f.nullable && r.literal("null")
}

func (r *reader) arrayMembers(s *schema, all []field, read func(i int) error) (seen uint, err error) {
	if err := r.enter(); err != nil {
		return 0, err
	}
	before := 0
	if s.kind == kindInternal {
		before = 1
	}
	for n := 0; ; n++ {
		more, err := r.more(n == 0, ']')
		i := n - before
		switch {
		case err != nil:
			return 0, err
		case !more:
			for _, f := range all[max(i, 0):] {
				if f.absent == "" || f.nullable { // by position, only what has a default may be missing
					return 0, r.fail("missing member " + f.name)
				}
			}
			r.leave()
			return seen, nil
		case i >= len(all):
			return 0, r.fail("too many elements")
		case i < 0:
			err = r.skip()
		case !r.null(&all[i]):
			seen |= 1 << i
			err = read(i)
		}
		if err != nil {
			return 0, err
		}
	}
}

// variant looks ahead for the tag of a tagged struct, which may be any of its
// members, and leaves the reader where it was. For an adjacently tagged struct it
// also returns where the content begins and where the struct ends.
func (r *reader) variant(s *schema) (v *variant, content, end int, err error) {
	pos, depth := r.pos, r.depth
	read := func(i int) error {
		if i > 0 {
			content = r.pos
			return r.skip()
		}
		v, err = r.readTag(s)
		return err
	}
	if s.kind == kindInternal && r.peek() == '[' {
		err = r.firstElement(read)
	} else {
		_, err = r.members(s.look, s.look.fields, read)
	}
	if err == nil {
		end, r.pos, r.depth = r.pos, pos, depth
	}
	return v, content, end, err
}

func (r *reader) firstElement(read func(i int) error) error {
	if err := r.enter(); err != nil {
		return err
	}
	if r.peek() == ']' {
		return r.fail("expected a tag")
	}
	return read(0)
}

// readTag reads a variant's name. Inside a message Meerkat reads from a buffer,
// which accepts a number as an internal tag and an object as an adjacent one.
func (r *reader) readTag(s *schema) (*variant, error) {
	if c := r.peek(); c == '{' && s.kind == kindInternal {
		return nil, r.fail("expected a name")
	} else if '0' <= c && c <= '9' && s.kind == kindInternal && !s.bareTag {
		i, err := r.uint(uint64(len(s.variants) - 1))
		if err != nil {
			return nil, err
		}
		return &s.variants[i], nil
	}
	i, err := r.enum(s.tag, s.names)
	return &s.variants[i], err
}
