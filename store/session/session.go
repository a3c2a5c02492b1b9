// Package session has the texts of sessions: as ropes of parts that they share, and
// with what is read of them by their formats, the digest and the number of messages.
//
// # Meerkat's document
//
// FormatMeerkat is the JSON in which Meerkat, the agent runtime, keeps a conversation. A
// document with one message and nothing that may be left out:
//
//	{
//	  "id": "0195b1c2-0000-7000-8000-000000000001",
//	  "messages": [{"role": "user", "content": "hello"}],
//	  "created_at": {"secs_since_epoch": 1773331026, "nanos_since_epoch": 0},
//	  "updated_at": {"secs_since_epoch": 1773331026, "nanos_since_epoch": 0}
//	}
//
// It may also have a version (a number; 1 if it is absent), metadata (an object
// of any JSON) and usage (see below). Other members are ignored. A message has a
// role and the members of that role:
//
//   - system, user: content, a string.
//   - assistant: content; tool_calls, an array of {id, name, args}, which may
//     be absent; stop_reason; usage.
//   - block_assistant: blocks; stop_reason.
//   - tool_results: results, an array of {tool_use_id, content, is_error},
//     where is_error may be absent.
//
// A stop_reason is end_turn, tool_use, max_tokens, stop_sequence,
// content_filter or cancelled. usage has input_tokens and output_tokens, and
// may have cache_creation_tokens and cache_read_tokens. A block is {block_type,
// data}, and its type says what data is: text {text}, reasoning {text, which may
// be absent}, tool_use {id, name, args}. Each may also have a meta, tagged by its
// provider: anthropic {signature}, anthropic_redacted {data},
// anthropic_compaction {content}, gemini {thoughtSignature}, open_ai {id,
// encrypted_content, which may be absent}. args are any JSON.
//
// # Digest
//
// The digest is the SHA-256 of the messages' canonical text: the compact JSON
// that comes out when they are read into typed values and written again. The same
// conversation therefore has the same digest however it is spelled. White space,
// escapes, the order of members, unknown members, absent defaults, and a struct
// spelled as an array of its members' values make no difference. (Floats in args
// are the exception: a float may be read as its neighbour, see Limits.) Members
// are written in the order above, members of args in ascending order, and strings
// with the shortest escapes.
//
// A message that is canonical already is hashed where it lies. Any other is
// rewritten, part by part. If the messages begin with those of a document that
// was read before, reading starts where those end.
//
// # Limits
//
// The rules are those of Meerkat 0.4.6 and of serde_json, its JSON library:
//
//   - Arrays and objects may nest 127 deep, the document's own included.
//   - A number in args is an integer of 64 bits, with or without a sign, or
//     else a float of 64 bits; one out of range is refused. A float is not
//     rounded correctly: its first digits, as a 64-bit integer, are multiplied
//     or divided once by a power of ten.
//   - A member of a type that is named twice is refused. In args the last one
//     counts.
//   - Invalid UTF-8 and half surrogates are refused.
//
// Two oddities of that library are followed too, so that no digest differs. In
// unknown members of the document, and of its usage, only the punctuation is
// checked: not depth, numbers or encoding. (36 of the recorded answers of Meerkat
// are about that.) And an object in args or metadata whose first member is named
// "$serde_json::private::RawValue" is a raw value: it is replaced by the JSON text
// that the member's string holds. (17 of them.) Raw values may nest 8 deep, and
// those that nest may together be twice as long as the document. Meerkat has
// neither limit.
//
// Reading takes less than 8 bytes of memory for each byte of the text, garbage
// included, whatever the text.
package session

import (
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"
)

// An Error says where and why a text is not a session document. It quotes nothing
// of the text.
type Error struct {
	Offset  int    // in bytes, from 0
	Message int    // the index of the message at fault, -1 if it is in none
	Line    int    // of FormatLines, the line at fault, from 1; else 0
	Reason  string // what was expected, or what is wrong
}

func (e *Error) Error() string {
	switch {
	case e.Line > 0:
		return fmt.Sprintf("%s at byte %d, in line %d", e.Reason, e.Offset, e.Line)
	case e.Message < 0:
		return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset)
	}
	return fmt.Sprintf("%s at byte %d, in message %d", e.Reason, e.Offset, e.Message)
}

// Read reads a session document of Meerkat's. Its error is an *Error. The document
// has a copy of the text.
func Read(text string) (*Document, error) {
	return (*Document)(nil).Replace(FormatMeerkat, text, 0)
}

// member reads the value of one member of the document.
func (r *reader) member(i int, d, last *Document) (err error) {
	switch i {
	case memberID:
		d.facts.ID, err = r.id()
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

// systemTime reads a time since the epoch. Its seconds must fit an int64.
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

// metadata reads an object of any JSON.
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

// ParseUUID reads a UUID in the four spellings that Meerkat accepts: with
// hyphens, without hyphens, in braces, and after "urn:uuid:". Digits may be in
// either case.
func ParseUUID(text string) (uuid.UUID, error) {
	const urn = "urn:uuid:"
	otherURN := len(text) == len(urn)+36 && text[:len(urn)] != urn // Meerkat does not accept URN:UUID:
	if otherURN || uuid.Validate(text) != nil {
		return uuid.UUID{}, errUUID
	}
	return uuid.Parse(text)
}
