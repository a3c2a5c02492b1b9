package session

import (
	"errors"
	"slices"
	"strconv"
)

// A Format says what the text of a session is, and so what its digest and its number
// of messages are. It is one of a closed set, so that every text can be checked
// without its owner's code.
type Format uint8

// The formats.
const (
	// FormatUnset is that of a text that was stored as it came: nothing is known of
	// it. In a call it is what that takes by default, Meerkat's document in a boundary
	// commit.
	FormatUnset Format = iota
	// FormatMeerkat is a session document of Meerkat's: see the package. Its digest
	// is that of the conversation, however it is spelled.
	FormatMeerkat
	// FormatLines is JSON Lines: in each line one JSON value (RFC 8259, in valid
	// UTF-8, up to 10,000 deep, with any names, repeated ones too) and no line is
	// blank. Each ends with "\n". White space beside the value, such as the "\r" of
	// "\r\n", is a part of the line. A line is a message, and the digest is the
	// SHA-256 of the bytes.
	FormatLines
	// FormatOpaque is any bytes. Their digest is their SHA-256, and how many
	// messages they are is what the caller says.
	FormatOpaque
)

var formats = [...]string{"unset", "meerkat", "lines", "opaque"}

// Valid reports whether f is one of the formats.
func (f Format) Valid() bool { return int(f) < len(formats) }

// Grows reports whether something can be appended to a text of the format.
func (f Format) Grows() bool { return f == FormatLines || f == FormatOpaque }

// String returns the format's name: unset, meerkat, lines or opaque.
func (f Format) String() string {
	if !f.Valid() {
		return "format " + strconv.Itoa(int(f))
	}
	return formats[f]
}

// MarshalText returns the format's name.
func (f Format) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a format's name. After an error f is unchanged.
func (f *Format) UnmarshalText(text []byte) error {
	i := slices.Index(formats[:], string(text))
	if i < 0 {
		return errors.New("not the name of a format")
	}
	*f = Format(i)
	return nil
}
