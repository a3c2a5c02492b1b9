package archive

import (
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// content is what a line says of a session's text.
type content struct {
	Parts    uint64         `json:"parts"` // that come with it
	Format   session.Format `json:"format"`
	Part     uint64         `json:"part,omitzero"`
	Digest   string         `json:"digest,omitzero"`
	Messages *uint64        `json:"messages,omitzero"`
}

type sessionVersion struct {
	Number  uint64    `json:"number"`
	Made    int64     `json:"made,omitzero"`
	Receipt *boundary `json:"receipt,omitzero"`
	content
}

type filedSession struct {
	SessionID store.SessionID `json:"session_id"`
	RuntimeID store.RuntimeID `json:"runtime_id"`
	content
}

type part struct {
	Number uint64  `json:"number"`
	Text   *string `json:"text,omitzero"`
	Base64 []byte  `json:"base64,omitzero"`
	Parts  numbers `json:"parts,omitzero"`
}

func (sessionVersion) kind() string { return "version" }
func (filedSession) kind() string   { return "session" }
func (part) kind() string           { return "part" }

func versionOf(v state.SessionVersion, c content) sessionVersion {
	l := sessionVersion{Number: v.Number, Made: v.Made, content: c}
	if v.Committed {
		l.Receipt = &boundary{v.RunID, v.Sequence}
	}
	return l
}

// with returns the line of a part with some bytes, which it shares.
func (l part) with(bytes string) part {
	if utf8.ValidString(bytes) {
		l.Text, l.Base64 = &bytes, nil
	} else {
		l.Text, l.Base64 = nil, unsafe.Slice(unsafe.StringData(bytes), len(bytes))
	}
	return l
}

// numbers are those of the parts that a list lists.
type numbers []uint64

// UnmarshalJSONFrom reads no more of them than a list may have.
func (n *numbers) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '[' {
		return errPart
	}
	*n = (*n)[:0]
	for dec.PeekKind() == '0' && len(*n) < session.MaxParts {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		one, err := token.Uint()
		if err != nil {
			return errPart
		}
		*n = append(*n, one)
	}
	if token, err := dec.ReadToken(); err != nil || token.Kind() != ']' {
		return errPart
	}
	return nil
}
