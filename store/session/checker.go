package session

import (
	"crypto/sha256"
	"hash"
)

// A Checker reads texts that are there in parts already, as in a file that cannot be
// trusted. What a text has from the one that was read before is neither read nor
// hashed again, as with [Document.Replace]. All texts are read with the same buffers,
// so they take no more memory than the longest of them does. The zero value is ready
// to use.
type Checker struct {
	last   *Document
	joined []byte // a document of Meerkat's
	reader reader
	lines  linesChecker
}

// Read returns the document of a text, which it shares. Only FormatOpaque is told how
// many messages there are. The error is an *Error.
func (c *Checker) Read(format Format, text Text, messages uint64) (d *Document, err error) {
	switch format {
	case FormatUnset:
		return &Document{text: text}, nil
	case FormatMeerkat:
		d, err = c.readMeerkat(text)
	default:
		d, err = c.readGrowing(format, text, messages)
	}
	if err == nil {
		c.last = d
	}
	return d, err
}

// Verify reads a document's text again, and reports whether it is what the document
// says.
func (c *Checker) Verify(d *Document) bool {
	if !d.facts.Format.Valid() {
		return false
	}
	again, err := c.Read(d.facts.Format, d.text, d.facts.Messages)
	return err == nil && again.facts == d.facts
}

func (c *Checker) readMeerkat(text Text) (*Document, error) {
	c.reader.again(c.join(text))
	d := &Document{facts: Facts{Format: FormatMeerkat}, text: text}
	if err := c.reader.document(d, c.last); err != nil {
		return nil, err
	}
	return d, nil
}

// readGrowing reads a text that may be the last one with something at its end.
func (c *Checker) readGrowing(format Format, text Text, messages uint64) (*Document, error) {
	known, all := 0, sha256.New().(hash.Cloner)
	if c.last.Format() == format && text.begins(c.last.text) {
		known, all = c.last.text.Len(), c.last.hash()
	}
	if format == FormatLines {
		lines, err := c.lines.read(text, known)
		if err != nil {
			return nil, err
		}
		if messages = lines; known > 0 {
			messages += c.last.MessageCount()
		}
	}
	for part := range text.between(known, text.Len()) {
		all.Write(bytesOf(part))
	}
	return growing(format, text, messages, all), nil
}

// join returns the bytes of a text, until the next call.
func (c *Checker) join(text Text) []byte {
	if n := text.Len(); n > cap(c.joined) {
		c.joined = make([]byte, 0, max(n, 2*cap(c.joined)))
	}
	c.joined = text.AppendTo(c.joined[:0])
	return c.joined
}

// again makes a reader one of another text. It keeps its buffers.
func (r *reader) again(in []byte) {
	*r = reader{in: in, message: -1, text: r.text, out: r.out[:0], index: r.index, inner: r.inner}
}
