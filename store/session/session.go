// Package session reads session documents: the JSON in which Meerkat, the
// agent runtime, keeps a conversation. It gives the conversation's digest and
// its number of messages.
//
// # Digest
//
// The digest is the SHA-256 of the compact JSON of the document's messages
// after they were read into typed values and written again. The same
// conversation therefore has the same digest however it is spelled: white
// space, escapes, the order of members, unknown members, absent defaults and
// the array spelling of structs make no difference. Members come out in the
// order of their type, the members of tool arguments in ascending order, and
// strings with the shortest escapes.
//
// The rules, and the limits of depth and of numbers, are those of Meerkat
// 0.4.6 and of the serde_json library that it reads with; among them that
// floats are not correctly rounded when read.
//
// A text that is canonical already is hashed where it lies. A message that is
// not is written anew, one at a time. A document whose messages begin with
// those of one that was read before is read from where they end.
package session

import (
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"
)

// An Error says where and why a text is not a session document. It holds
// nothing of the text.
type Error struct {
	Offset int    // in bytes, from 0
	Reason string // what was expected or found there
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset) }

// Read reads a whole session document. The error is an *Error.
func Read(text string) (*Document, error) { return new(Document).Continue(text) }

// member reads the value of one member of the document.
func (r *reader) member(i int, d, last *Document) (err error) {
	switch i {
	case memberID:
		d.ID, err = r.id()
	case memberMessages:
		err = r.messages(d, last)
	case memberCreatedAt, memberUpdatedAt:
		err = r.systemTime()
	case memberMetadata:
		err = r.metadata()
	default: // memberVersion, memberUsage
		_, err = r.read(document.fields[i].of)
	}
	return err
}

// read reads a value of type s. If that is not canonical, its canonical text
// is in r.out then.
func (r *reader) read(s *schema) (canonical bool, err error) {
	r.peek()
	start, depth := r.pos, r.depth
	if r.canonical(s) {
		return true, nil
	}
	r.pos, r.depth, r.out = start, depth, r.out[:0]
	return false, r.rewrite(s)
}

func (r *reader) id() (uuid.UUID, error) {
	r.peek()
	start := r.pos
	text, err := r.str()
	if err != nil {
		return uuid.UUID{}, err
	}
	id, err := ParseUUID(string(text))
	if err != nil {
		r.pos = start
		return id, r.fail(errUUID.Error())
	}
	return id, nil
}

// systemTime reads a time since the epoch. It must fit 64 bits of seconds.
func (r *reader) systemTime() error {
	var v [2]uint64
	_, err := r.members(systemTime, systemTime.fields, func(i int) (err error) {
		v[i], err = r.uint(systemTime.fields[i].of.max)
		return err
	})
	if err == nil && (v[0] > math.MaxInt64 || v[0]+v[1]/1e9 > math.MaxInt64) {
		err = r.fail("time out of range")
	}
	return err
}

// metadata is an object of any JSON.
func (r *reader) metadata() error {
	if r.peek() != '{' {
		return r.fail("expected an object")
	}
	start, depth := r.pos, r.depth
	if r.canonicalObject() {
		return nil
	}
	r.pos, r.depth, r.out = start, depth, r.out[:0]
	return r.rewriteObject(false)
}

var errUUID = errors.New("invalid UUID")

// ParseUUID reads a UUID in the four spellings that the seed takes: with
// hyphens, without, in braces, and after "urn:uuid:"; digits in either case.
func ParseUUID(text string) (uuid.UUID, error) {
	const urn = "urn:uuid:"
	otherURN := len(text) == len(urn)+36 && text[:len(urn)] != urn // URN:UUID: is no spelling of the seed's
	if otherURN || uuid.Validate(text) != nil {
		return uuid.UUID{}, errUUID
	}
	return uuid.Parse(text)
}
