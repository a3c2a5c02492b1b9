package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// marshal writes v with its raw JSON as it stands.
func marshal(v any) ([]byte, error) {
	return json.Marshal(v, jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true))
}

// unmarshal reads all of data with read. The decoder copies nothing of a
// bytes.Buffer.
func unmarshal(data []byte, read func(*jsontext.Decoder) error) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
	if err := read(dec); err != nil {
		return reasonOf(err)
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return &ValueError{Reason: "more text after the value"}
	}
	return nil
}

// replace reads all of data into v, and then puts v in the place of target:
// what fails leaves it alone.
func replace[T any](target *T, v T, data []byte, read func(*T, *jsontext.Decoder) error) error {
	err := unmarshal(data, func(dec *jsontext.Decoder) error { return read(&v, dec) })
	if err == nil {
		*target = v
	}
	return err
}

// A member is one that readObject knows.
type member struct {
	name string
	need need
	into any // a pointer, or a func(*jsontext.Decoder) error
}

type need uint8

const (
	required  need = iota
	defaulted      // may be missing, but not null
	optional       // may be missing or null, which is the same
)

// readObject reads an object as Meerkat does: unknown members are skipped,
// known ones may stand in any order but only once.
func readObject(dec *jsontext.Decoder, members ...member) error {
	if err := begin(dec, '{'); err != nil {
		return err
	}
	seen := make([]bool, len(members))
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		i := findMember(members, name.String())
		if i < 0 {
			if err := dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		if seen[i] {
			return &ValueError{Field: members[i].name, Reason: "named twice"}
		}
		seen[i] = true
		if err := members[i].read(dec); err != nil {
			return InField(members[i].name, reasonOf(err))
		}
	}
	for i, m := range members {
		if !seen[i] && m.need == required {
			return &ValueError{Field: m.name, Reason: "missing"}
		}
	}
	_, err := dec.ReadToken()
	return err
}

// readArray reads an array, calling read at each element, none of which may
// be null.
func readArray(dec *jsontext.Decoder, read func() error) error {
	if err := begin(dec, '['); err != nil {
		return err
	}
	for dec.PeekKind() != ']' {
		if dec.PeekKind() == 'n' {
			return errNull
		}
		if err := read(); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// readIDs reads an array of ids.
func readIDs(ids *[]InputID) func(*jsontext.Decoder) error {
	return func(dec *jsontext.Decoder) error {
		return readArray(dec, func() error {
			var id InputID
			err := json.UnmarshalDecode(dec, &id)
			*ids = append(*ids, id)
			return err
		})
	}
}

var errNull = &ValueError{Reason: "null"}

func begin(dec *jsontext.Decoder, open jsontext.Kind) error {
	if dec.PeekKind() != open {
		if _, err := dec.ReadValue(); err != nil {
			return err
		}
		return &ValueError{Reason: "expected " + map[jsontext.Kind]string{'{': "an object", '[': "an array"}[open]}
	}
	_, err := dec.ReadToken()
	return err
}

func findMember(members []member, name string) int {
	for i := range members {
		if members[i].name == name {
			return i
		}
	}
	return -1
}

func (m *member) read(dec *jsontext.Decoder) error {
	if dec.PeekKind() == 'n' {
		if m.need != optional {
			return errNull
		}
		return dec.SkipValue()
	}
	if read, ok := m.into.(func(*jsontext.Decoder) error); ok {
		return read(dec)
	}
	return json.UnmarshalDecode(dec, m.into)
}

// reasonOf turns an error of the JSON library, which may quote the text, into
// one that does not.
func reasonOf(err error) error {
	if v, ok := errors.AsType[*ValueError](err); ok {
		return v
	}
	if s, ok := errors.AsType[*json.SemanticError](err); ok && s.GoType != nil {
		return &ValueError{Reason: fmt.Sprintf("a JSON %v is not a %v in range", s.JSONKind, s.GoType.Kind())}
	}
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &ValueError{Reason: fmt.Sprintf("malformed JSON at byte %d", s.ByteOffset)}
	}
	return &ValueError{Reason: "malformed JSON"}
}
