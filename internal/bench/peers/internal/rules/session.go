package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// A Session is a session's text, as one string, with what was read of it.
type Session struct {
	Text     string
	Format   store.Format
	Messages uint64
	Digest   string // as receipts spell it; none of FormatUnset

	// To go on from. A session that was loaded from a peer's bytes has neither.
	document *session.Document // of FormatMeerkat
	hash     hash.Cloner       // of FormatLines and FormatOpaque
}

// Read reads what a call stores as a session. text is the peer's own copy of
// SessionSnapshot. What is unset is of the format unset. last is what stands: an
// addition needs it, and is nil then only if nothing stands. A session document that
// begins like it is read from where it ends.
func Read(d *store.SessionDelta, text string, unset store.Format, last *Session) (*Session, error) {
	if err := valid(d, last); err != nil {
		return nil, store.InField("session", err)
	}
	format := d.Format
	if format == store.FormatUnset {
		format = unset
	}
	s, err := &Session{Text: text, Format: format}, error(nil)
	switch format {
	case store.FormatUnset:
	case store.FormatMeerkat:
		err = s.readMeerkat(last)
	default:
		err = s.readRest(d, last)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrInvalidSnapshot, err)
	}
	return s, nil
}

// ReadAhead is Read of a whole text before a transaction begins, from the start. It
// returns nil if the call appends: what stands may change until then.
func ReadAhead(d *store.SessionDelta, unset store.Format) (*Session, error) {
	if d.Append {
		return nil, nil
	}
	return Read(d, string(d.SessionSnapshot), unset, nil)
}

// valid refuses what does not go together.
func valid(d *store.SessionDelta, last *Session) error {
	switch {
	case !d.Format.Valid():
		return &store.ValueError{Field: "format", Reason: "not one of the formats"}
	case d.Append && !d.Format.Grows():
		return &store.ValueError{Field: "append", Reason: "only for FormatLines and FormatOpaque"}
	case d.Messages != 0 && d.Format != store.FormatOpaque:
		return &store.ValueError{Field: "messages", Reason: "only for FormatOpaque"}
	case d.Append && last != nil && last.Format != d.Format:
		return &store.ValueError{Field: "format", Reason: "not that of the session that stands"}
	}
	return nil
}

func (s *Session) readMeerkat(last *Session) (err error) {
	if last == nil || last.document == nil {
		last = &Session{document: new(session.Document)}
	}
	if s.document, err = last.document.Replace(store.FormatMeerkat, s.Text, 0); err == nil {
		s.Digest, s.Messages = s.document.HexDigest(), s.document.MessageCount()
	}
	return err
}

// readRest reads lines or any bytes, and hashes what is not hashed yet.
func (s *Session) readRest(d *store.SessionDelta, last *Session) error {
	more, before := s.Text, ""
	s.Messages = d.Messages
	if d.Append && last != nil {
		before = last.Text
		s.Text = before + more
	}
	if s.Format == store.FormatLines {
		if _, err := session.ReadAddition(s.Format, more, 0); err != nil {
			return err
		}
		s.Messages = uint64(strings.Count(more, "\n")) // one a line
		if before != "" {
			s.Messages += last.Messages
		}
	}
	if before != "" && last.hash != nil {
		clone, err := last.hash.Clone()
		if err != nil {
			return err
		}
		s.hash = clone
	} else {
		s.hash = sha256.New().(hash.Cloner)
		_, _ = s.hash.Write([]byte(before)) // it never fails
	}
	_, _ = s.hash.Write([]byte(more))
	s.Digest = hex.EncodeToString(s.hash.Sum(nil))
	return nil
}

// Bare returns the session without what to go on from. nil stays nil.
func (s *Session) Bare() *Session {
	if s == nil {
		return nil
	}
	return &Session{Text: s.Text, Format: s.Format, Messages: s.Messages, Digest: s.Digest}
}
