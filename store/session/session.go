// Package session reads session documents: the JSON in which Meerkat, the
// agent runtime, keeps a conversation. It gives the conversation's digest and
// its number of messages.
//
// # Document
//
// This is the smallest one, but for its one message:
//
//	{
//	  "id": "0195b1c2-0000-7000-8000-000000000001",
//	  "messages": [{"role": "user", "content": "hello"}],
//	  "created_at": {"secs_since_epoch": 1773331026, "nanos_since_epoch": 0},
//	  "updated_at": {"secs_since_epoch": 1773331026, "nanos_since_epoch": 0}
//	}
//
// It may have a version (a number, 1), metadata (an object of any JSON) and
// usage (see below) too, and whatever else, which is ignored. A message has a
// role and the members of that role:
//
//   - system, user: content, a string.
//   - assistant: content; tool_calls, an array of {id, name, args}, which may
//     be missing; stop_reason; usage.
//   - block_assistant: blocks; stop_reason.
//   - tool_results: results, an array of {tool_use_id, content, is_error},
//     where is_error may be missing.
//
// A stop_reason is end_turn, tool_use, max_tokens, stop_sequence,
// content_filter or cancelled. usage has input_tokens and output_tokens, and
// may have cache_creation_tokens and cache_read_tokens. A block is {block_type,
// data}, where data is that of its type: text {text}, reasoning {text, which
// may be missing}, tool_use {id, name, args}; each may have a meta besides,
// tagged by its provider: anthropic {signature}, anthropic_redacted {data},
// anthropic_compaction {content}, gemini {thoughtSignature}, open_ai {id,
// encrypted_content, which may be missing}. args are any JSON.
//
// # Digest
//
// The digest is the SHA-256 of the compact JSON of the document's messages
// after they were read into typed values and written again. The same
// conversation therefore has the same digest however it is spelled: white
// space, escapes, the order of members, unknown members, absent defaults and
// the spelling of a struct as an array of its members' values make no
// difference. (Floats in args are the exception, by the way in which they are
// read: what was written may be read as a neighbour.) Members come out in the order above, the members of args in
// ascending order, and strings with the shortest escapes.
//
// A text that is canonical already is hashed where it lies. A message that is
// not is written anew, one at a time. A document whose messages begin with
// those of one that was read before is read from where they end.
//
// # Limits
//
// The rules are those of Meerkat 0.4.6 and of serde_json, which it reads with:
//
//   - Arrays and objects may nest 127 deep, the document's own included.
//   - A number in args is an integer of 64 bits, with or without a sign, or
//     else a float of 64 bits; one out of range is refused. A float is not
//     correctly rounded when it is read: one division or multiplication by a
//     power of ten, of the first digits as a 64-bit integer.
//   - A member named twice is refused where the type has it. In args the last
//     one counts.
//   - Invalid UTF-8 and half surrogates are refused.
//
// Two oddities of its library are followed too, so that no digest differs. In
// unknown members of the document, and of its usage, only the punctuation is
// checked: not depth, numbers or encoding (36 of the recorded answers of
// Meerkat that the tests can read are about that). And an object in args or
// metadata whose first member is named "$serde_json::private::RawValue" is
// replaced by the JSON text that the member's string holds (17 of them); such
// texts may stand in one another 8 deep, where Meerkat has no limit.
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
	Offset  int    // in bytes, from 0
	Message int    // the message that it is in, from 0, or -1
	Reason  string // what was expected or found there
}

func (e *Error) Error() string {
	if e.Message < 0 {
		return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset)
	}
	return fmt.Sprintf("%s at byte %d, in message %d", e.Reason, e.Offset, e.Message)
}

// Read reads a whole session document. The error is an *Error.
func Read(text string) (*Document, error) { return new(Document).Continue(text) }

// member reads the value of one member of the document.
func (r *reader) member(i int, d, last *Document) (err error) {
	switch i {
	case memberID:
		d.id, err = r.id()
	case memberMessages:
		err = r.messages(d, last)
	case memberCreatedAt, memberUpdatedAt:
		err = r.systemTime()
	case memberMetadata:
		err = r.metadata()
	default: // memberVersion, memberUsage
		err = r.check(document.fields[i].of)
	}
	return err
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
	r.pos, r.depth = start, depth
	return r.walkObject(walkJSON, false)
}

var errUUID = errors.New("invalid UUID")

// ParseUUID reads a UUID in the four spellings that Meerkat takes: with
// hyphens, without, in braces, and after "urn:uuid:"; digits in either case.
func ParseUUID(text string) (uuid.UUID, error) {
	const urn = "urn:uuid:"
	otherURN := len(text) == len(urn)+36 && text[:len(urn)] != urn // Meerkat takes URN:UUID: for none
	if otherURN || uuid.Validate(text) != nil {
		return uuid.UUID{}, errUUID
	}
	return uuid.Parse(text)
}
