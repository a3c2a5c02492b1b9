package session

import (
	"bytes"
	"cmp"
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
	isRaw := false
	err := r.object(func(n int, name []byte) error {
		if isRaw {
			return r.fail("more than a raw value in its object")
		}
		if isRaw = raw && n == 0 && string(name) == rawValueKey; isRaw {
			return r.rewriteRaw()
		}
		m := member{name: bytes.Clone(name), from: len(r.out)}
		err := r.rewriteJSON()
		m.to = len(r.out)
		all = append(all, m)
		return err
	})
	if err != nil {
		return err
	}
	r.leave()
	if isRaw {
		return nil
	}

	slices.SortFunc(all, func(a, b member) int {
		return cmp.Or(bytes.Compare(a.name, b.name), cmp.Compare(a.from, b.from))
	})
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

// maxRaw is how deep raw values may stand in raw values. Meerkat has no limit;
// but each level holds its own copy of all that is in it.
const maxRaw = 8

// rewriteRaw reads the string of an object that holds JSON text in it.
func (r *reader) rewriteRaw() error {
	start := r.pos
	text, err := r.str()
	if err != nil {
		return err
	}
	if r.raw == maxRaw {
		r.pos = start
		return r.fail("raw values nested too deep")
	}
	inner := &reader{in: text, out: r.out, raw: r.raw + 1}
	r.text = nil // the inner reader has it, if it is there
	if err = inner.rewriteJSON(); err == nil {
		err = inner.end()
	}
	if err != nil {
		r.pos = start
		return r.fail("invalid JSON text in a raw value")
	}
	r.out = inner.out
	return nil
}
