package lincheck

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/loopstore/loopstore/store"
)

// A session is a session's text as the model holds it, or what is to be appended to one.
// It is comparable and never changes.
type session struct {
	text     string
	format   store.Format
	digest   string // as receipts spell it, empty if the store does not know it
	messages uint64 // of what is appended to FormatOpaque, those of the whole
}

// hashed returns a session whose digest is that of its bytes.
func hashed(format store.Format, text string, messages uint64) *session {
	sum := sha256.Sum256([]byte(text))
	return &session{text, format, hex.EncodeToString(sum[:]), messages}
}

// with returns the session with more at its end.
func (s *session) with(more *session) *session {
	messages := more.messages
	if s.format == store.FormatLines {
		messages += s.messages
	}
	return hashed(s.format, s.text+more.text, messages)
}

func (s *session) equal(t *session) bool { return s == t || s != nil && t != nil && *s == *t }

// sessionOf returns what a snapshot shows.
func sessionOf(s store.Snapshot) session {
	return session{s.String(), s.Format(), s.Digest(), s.MessageCount()}
}

// additions are what texts that grow are made of. There are few, so that texts are often
// equal which were made in other ways.
var additions = []struct {
	text  string
	lines uint64
}{
	{"1\n", 1},
	{"{\"a\":[2,\"é\"]} \r\n", 1},
	{"\"b\"\n3\n", 2},
	{"", 0},
}

// long are texts of more than one part, which have most of it in common.
var long = func() (all []string) {
	var lines strings.Builder
	for n := range 600 {
		fmt.Fprintf(&lines, "\"%04d %s\"\n", n*n, strings.Repeat("x", 30))
	}
	text := lines.String()
	half := strings.Index(text, "\n\"90000 ") + 1
	return []string{text, "0\n" + text, text[:half] + "1\n" + text[half:]}
}()

// change makes any change of a session: it takes any bytes. reads says that the store
// reads a document even if it is told no format.
func (g *generator) change(c *call, reads bool) store.SessionDelta {
	switch {
	case g.growsNext(c.runtime):
		return g.growing(c)
	case g.pick("of a document", 2) == 1:
		return g.meerkat(c, reads, false)
	}
	c.session = &session{text: g.text(0)}
	return store.SessionDelta{SessionSnapshot: []byte(c.session.text)}
}

// growsNext reports whether a session's next text is to be one that can grow. Of every
// other runtime it mostly is, so that there is mostly something to append to.
func (g *generator) growsNext(id store.RuntimeID) bool {
	if id[len(id)-1]%2 == 1 {
		return !g.seldom("another format", 10)
	}
	return g.seldom("another format", 5)
}

// meerkat makes a change to a session document. Without a format the store must read it,
// or does so if it is one, or does not.
func (g *generator) meerkat(c *call, reads, must bool) store.SessionDelta {
	c.session = g.document()
	d := store.SessionDelta{SessionSnapshot: []byte(c.session.text)}
	if g.pick("format", 3) == 2 {
		d.Format, reads, must = store.FormatMeerkat, true, true
	}
	if must && c.flaw == nil && g.flawed() {
		d.SessionSnapshot, c.flaw = d.SessionSnapshot[1:], store.ErrInvalidSnapshot // without its first brace
	}
	if !reads {
		c.session = &session{text: c.session.text}
	}
	return d
}

// growing makes a change of FormatLines, or of FormatOpaque: a whole text or what is to
// be appended.
func (g *generator) growing(c *call) store.SessionDelta {
	d := store.SessionDelta{Format: store.FormatLines, Append: g.pick("append", 4) > 0}
	var text string
	var messages uint64
	parts := 1
	if !d.Append {
		parts = g.pick("parts", 4)
		if g.seldom("long text", 16) {
			at := g.pick("long text", len(long))
			text, messages = long[at], 600+uint64(min(at, 1))
		}
	} else if g.seldom("much", 40) {
		text, messages = long[0], 600
	}
	for range parts {
		more := additions[g.pick("addition", len(additions))]
		text, messages = text+more.text, messages+more.lines
	}
	if g.seldom("opaque", 6) {
		messages = uint64(g.pick("messages", 3))
		d.Format, d.Messages = store.FormatOpaque, messages
	}
	d.SessionSnapshot = []byte(text)
	c.session, c.appends = hashed(d.Format, text, messages), d.Append
	if c.flaw == nil && g.flawed() {
		g.spoil(c, &d)
	}
	return d
}

// spoil makes a change one that the store must refuse, whatever it holds.
func (g *generator) spoil(c *call, d *store.SessionDelta) {
	text := string(d.SessionSnapshot)
	switch c.flaw = store.ErrInvalidValue; g.pick("flaw", 6) {
	case 0:
		*d = store.SessionDelta{Format: store.FormatLines, SessionSnapshot: []byte(text + "4"), Append: d.Append}
		c.flaw = store.ErrInvalidSnapshot
	case 1:
		*d = store.SessionDelta{Format: store.FormatLines, SessionSnapshot: []byte(text + "\n"), Append: d.Append}
		c.flaw = store.ErrInvalidSnapshot
	case 2:
		d.Format, d.Messages = store.FormatLines, 1
	case 3:
		d.Format = 99
	case 4:
		*d = store.SessionDelta{SessionSnapshot: []byte(g.document().text), Append: true}
	case 5:
		*d = store.SessionDelta{SessionSnapshot: []byte(g.document().text), Append: true, Format: store.FormatMeerkat}
	}
}

// String names the session by its mark, or by how it ends.
func (s *session) String() string {
	switch {
	case s == nil:
		return "no session"
	case s.format == store.FormatUnset || s.format == store.FormatMeerkat:
		return "session " + markOf(s.text)
	}
	return fmt.Sprintf("session of %v %s (%d bytes, %d messages)", s.format, markOf(s.text), len(s.text), s.messages)
}
