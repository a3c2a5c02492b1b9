package eino

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/cloudwego/eino/schema"
)

// A MessageError says which message cannot be kept or read, and why. It has names and keys,
// and no values.
type MessageError struct {
	Index  int    // of the message among those of the call
	Field  string // JSON Pointer (RFC 6901) to what is wrong, such as "/extra/usage"; empty if it is the message
	Reason string
}

func (e *MessageError) Error() string {
	field := e.Field
	if len(field) > 128 {
		field = strings.ToValidUTF8(field[:128], "") + "…"
	}
	if field != "" {
		field = fmt.Sprintf(", %q", field)
	}
	return fmt.Sprintf("eino: message %d%s: %s", e.Index, field, e.Reason)
}

// A line is a message with the values that JSON would bring back as other types.
type line struct {
	*schema.Message

	Gob map[string][]byte `json:"gob,omitempty"` // by their JSON Pointers
}

// Encode returns a line of JSON for each message, to be appended to a session in
// store.FormatLines. It has read each of them back. The error is a *MessageError if one cannot
// be kept without a loss: text that is not UTF-8, say, or a value of an Extra whose type is not
// registered. Nothing of the messages is shared or changed. What gob writes of a type, and so
// the bytes of a line, may differ from process to process.
func Encode(messages ...*schema.Message) (lines []byte, err error) {
	for i, m := range messages {
		text, fault := encode(m)
		if fault != nil {
			fault.Index = i
			return nil, fault
		}
		lines = append(append(lines, text...), '\n')
	}
	return lines, nil
}

func encode(m *schema.Message) (text []byte, fault *MessageError) {
	if m == nil {
		return nil, &MessageError{Reason: "it is nil"}
	}
	text, err := json.Marshal(m) // it refuses what refers to itself, too
	if err != nil {
		return nil, &MessageError{Reason: unmarshalable(err)}
	}
	l := line{Message: m, Gob: map[string][]byte{}}
	walk(reflect.ValueOf(m), "", func(at string, value any) (any, bool) {
		switch value.(type) {
		case nil, bool, string, float64, map[string]any, []any:
			return nil, false
		}
		var b bytes.Buffer
		if circular(reflect.ValueOf(value), make(map[step]bool)) {
			if fault == nil {
				fault = &MessageError{Field: at, Reason: "it refers to itself"}
			}
			return nil, true
		}
		if err := gob.NewEncoder(&b).Encode(&value); err != nil && fault == nil {
			fault = &MessageError{Field: at, Reason: fmt.Sprintf("gob cannot keep a %T: is its type registered, see schema.RegisterName?", value)}
		}
		l.Gob[at] = b.Bytes()
		return nil, true
	})
	if fault != nil {
		return nil, fault
	}
	if len(l.Gob) > 0 {
		if text, err = json.Marshal(l); err != nil {
			return nil, &MessageError{Reason: unmarshalable(err)}
		}
	}
	back, err := Decode(text)
	if unreadable, ok := errors.AsType[*MessageError](err); ok {
		return nil, unreadable
	}
	if at, differs := difference(reflect.ValueOf(m), reflect.ValueOf(back[0]), ""); differs {
		return nil, &MessageError{Field: at, Reason: "it would come back as something else"}
	}
	return text, nil
}

// unmarshalable says why something is not JSON. What a type's own method says, or a number
// that is none, may have a value in it.
func unmarshalable(err error) string {
	if own, ok := errors.AsType[*json.MarshalerError](err); ok {
		return fmt.Sprintf("the JSON of a %v cannot be made", own.Type)
	}
	_, wrongType := errors.AsType[*json.UnsupportedTypeError](err)
	if _, wrongValue := errors.AsType[*json.UnsupportedValueError](err); wrongType || wrongValue {
		return strings.TrimPrefix(err.Error(), "json: ") // such as NaN
	}
	return "its JSON cannot be made"
}

// Decode returns the messages of lines that Encode has made: a session's, or a part of one.
// They are the caller's own. The error is a *MessageError.
func Decode(lines []byte) (messages []*schema.Message, err error) {
	d := json.NewDecoder(bytes.NewReader(lines))
	d.DisallowUnknownFields()
	for {
		var l line
		err := d.Decode(&l)
		if err == io.EOF {
			return messages, nil
		}
		fault := &MessageError{Index: len(messages), Reason: "it is not the JSON of a message of this version of eino"}
		if err != nil || l.Message == nil {
			return nil, fault
		}
		found := 0
		walk(reflect.ValueOf(l.Message), "", func(at string, plain any) (value any, ok bool) {
			text, ok := l.Gob[at]
			if !ok {
				return nil, false
			}
			found++
			if err = gob.NewDecoder(bytes.NewReader(text)).Decode(&value); err != nil {
				fault.Field, fault.Reason = at, "gob cannot read it: is its type registered, see schema.RegisterName?"
			} else if !written(value, plain) {
				fault.Field, fault.Reason = at, fmt.Sprintf("it is not what was written: was %T another type then?", value)
			}
			return value, true
		})
		if fault.Field != "" || found != len(l.Gob) {
			return nil, fault
		}
		messages = append(messages, l.Message)
	}
}

// written reports whether a value has the JSON that stands beside its gob. gob leaves out what
// the type has no field for any more.
func written(value, plain any) bool {
	var again any
	text, err := json.Marshal(value)
	if err != nil || json.Unmarshal(text, &again) != nil {
		return false
	}
	_, differs := difference(reflect.ValueOf(plain), reflect.ValueOf(again), "")
	return !differs
}
