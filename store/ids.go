package store

import (
	"encoding"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"

	"github.com/loopstore/loopstore/store/session"
)

// A RuntimeID names a logical runtime, which keeps its name when its process
// restarts. Any valid UTF-8 will do, the empty string too.
type RuntimeID string

// Validate returns a *ValueError if id is not valid UTF-8.
func (id RuntimeID) Validate() error { return validUTF8(string(id)) }

// Short returns the id, cut to what an error message has room for.
func (id RuntimeID) Short() string {
	const room = 64
	if len(id) <= room {
		return string(id)
	}
	return strings.ToValidUTF8(string(id[:room]), "") + "…"
}

// An ID is a UUID that names a Kind of thing, so that ids of two kinds cannot
// be mistaken for each other. Its text has hyphens and lower-case digits; it
// is read in that spelling, without hyphens, in braces, or after "urn:uuid:",
// in either case. The zero value is the nil UUID, an id like any other.
type ID[Kind any] uuid.UUID

type (
	runKind     struct{}
	inputKind   struct{}
	sessionKind struct{}
)

type (
	// A RunID names one run of a runtime.
	RunID = ID[runKind]
	// An InputID names one accepted input.
	InputID = ID[inputKind]
	// A SessionID names a session document.
	SessionID = ID[sessionKind]
)

// NewRunID returns a new id, a UUID of version 7.
func NewRunID() RunID { return RunID(newUUID()) }

// NewInputID returns a new id, a UUID of version 7.
func NewInputID() InputID { return InputID(newUUID()) }

// NewSessionID returns a new id, a UUID of version 7.
func NewSessionID() SessionID { return SessionID(newUUID()) }

// The namespaces of [InputIDOf] and [RunIDOf], for those who make the same ids elsewhere.
const (
	InputIDNamespace = "6d0ba7b4-4a46-4e3c-9f5e-0b1b6d2a7f01"
	RunIDNamespace   = "6d0ba7b4-4a46-4e3c-9f5e-0b1b6d2a7f02"
)

var (
	inputNamespace = uuid.MustParse(InputIDNamespace)
	runNamespace   = uuid.MustParse(RunIDNamespace)
)

// InputIDOf returns the id of an input that has a name elsewhere, such as a message in a
// chat: the same for the same name, a UUID of version 5 (RFC 9562) in InputIDNamespace.
// Names are compared byte by byte. Persisting an input whose id is there replaces it. To
// add one only if it is new, make package batch's InputAbsent a condition.
func InputIDOf(name string) InputID { return InputID(uuid.NewSHA1(inputNamespace, []byte(name))) }

// RunIDOf is InputIDOf for a run, in RunIDNamespace. A boundary that is committed in a run
// that is there becomes its next.
func RunIDOf(name string) RunID { return RunID(uuid.NewSHA1(runNamespace, []byte(name))) }

func newUUID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// ParseRunID reads an id. The error is a *ValueError.
func ParseRunID(text string) (RunID, error) { return parseID[runKind](text) }

// ParseInputID reads an id. The error is a *ValueError.
func ParseInputID(text string) (InputID, error) { return parseID[inputKind](text) }

// ParseSessionID reads an id. The error is a *ValueError.
func ParseSessionID(text string) (SessionID, error) { return parseID[sessionKind](text) }

func parseID[Kind any](text string) (ID[Kind], error) {
	id, err := session.ParseUUID(text)
	if err != nil {
		return ID[Kind]{}, &ValueError{Reason: "not a UUID"}
	}
	return ID[Kind](id), nil
}

// String returns the id's text.
func (id ID[Kind]) String() string { return uuid.UUID(id).String() }

// MarshalText returns the id's text.
func (id ID[Kind]) MarshalText() ([]byte, error) { return uuid.UUID(id).MarshalText() }

// AppendText appends the id's text.
func (id ID[Kind]) AppendText(text []byte) ([]byte, error) {
	for i, b := range id {
		switch i {
		case 4, 6, 8, 10:
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, []byte{b})
	}
	return text, nil
}

// UnmarshalText reads an id. The error is a *ValueError, and id unchanged then.
func (id *ID[Kind]) UnmarshalText(text []byte) error {
	v, err := parseID[Kind](string(text))
	if err == nil {
		*id = v
	}
	return err
}

var _ encoding.TextUnmarshaler = (*RunID)(nil)
