package session

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// rawValueKey marks an object that Meerkat's JSON library replaces by the
// JSON text in its only member, when it is the first one.
const rawValueKey = "$serde_json::private::RawValue"

func (r *reader) rewriteJSON() error {
	switch c := r.peek(); {
	case c == '"':
		return r.rewriteString()
	case c == '{':
		return r.rewriteObject(true)
	case c == '[':
		return r.rewriteList(jsonValue)
	case c == '-' || '0' <= c && c <= '9':
		n, err := r.number()
		r.out = appendNumber(r.out, n)
		return err
	}
	start := r.pos
	err := r.word()
	r.out = append(r.out, r.in[start:r.pos]...)
	return err
}

// rewriteObject writes the members in ascending order of their names, the
// last of those with the same name.
func (r *reader) rewriteObject(raw bool) error {
	type member struct {
		name     []byte
		from, to int
	}
	var all []member
	start := len(r.out)
	if err := r.enter(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		more, err := r.more(n == 0, '}')
		if err != nil {
			return err
		}
		if !more {
			break
		}
		name, err := r.key()
		if err != nil {
			return err
		}
		if raw && n == 0 && string(name) == rawValueKey {
			return r.rewriteRaw()
		}
		m := member{name: bytes.Clone(name), from: len(r.out)}
		if err := r.rewriteJSON(); err != nil {
			return err
		}
		m.to = len(r.out)
		all = append(all, m)
	}
	r.leave()

	slices.SortStableFunc(all, func(a, b member) int { return bytes.Compare(a.name, b.name) })
	end := len(r.out)
	r.out = append(r.out, '{')
	for i, m := range all {
		if i+1 < len(all) && bytes.Equal(m.name, all[i+1].name) {
			continue
		}
		if len(r.out) > end+1 {
			r.out = append(r.out, ',')
		}
		r.out, _ = jsontext.AppendQuote(r.out, m.name) // it was read as valid UTF-8
		r.out = append(append(r.out, ':'), r.out[m.from:m.to]...)
	}
	r.out = append(r.out, '}')
	r.moveDown(start, end)
	return nil
}

// rewriteRaw reads the rest of an object that holds JSON text in a string.
func (r *reader) rewriteRaw() error {
	text, err := r.str()
	if err != nil {
		return err
	}
	inner := &reader{in: bytes.Clone(text), out: r.out}
	if err = inner.rewriteJSON(); err == nil {
		err = inner.end()
	}
	if err != nil {
		return r.fail("invalid JSON text in a raw value")
	}
	r.out = inner.out
	if err := r.expect('}', "more than a raw value in its object"); err != nil {
		return err
	}
	r.depth--
	return nil
}
