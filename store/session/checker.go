package session

import (
	"crypto/sha256"
	"hash"

	"github.com/go-json-experiment/json/jsontext"
)

// A Checker reads texts that are there in parts already, as in a file that cannot be
// trusted. What a text has from the one that was read before is neither read nor
// hashed again, as with [Document.Replace]. All texts are read with the same buffers,
// so they take no more memory than the longest of them does. The zero value is ready
// to use.
type Checker struct {
	last   *Document
	joined []byte // the text, or the end of it
	reader reader
	dec    jsontext.Decoder
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

func (c *Checker) readMeerkat(text Text) (*Document, error) {
	c.reader.again(c.join(text, 0))
	d := &Document{facts: Facts{Format: FormatMeerkat}, text: text}
	return d, c.reader.document(d, c.last)
}

// readGrowing reads a text that may be the last one with something at its end.
func (c *Checker) readGrowing(format Format, text Text, messages uint64) (*Document, error) {
	known, all := 0, sha256.New().(hash.Cloner)
	if c.last.Format() == format && text.begins(c.last.text) {
		known, all = c.last.text.Len(), c.last.hash()
	}
	if format == FormatLines {
		var err error
		if messages, err = readLines(stringOf(c.join(text, known)), &c.dec); err != nil {
			where := err.(*Error)
			where.Offset += known
			if known > 0 {
				where.Line += int(c.last.MessageCount())
			}
			return nil, where
		}
		if known > 0 {
			messages += c.last.MessageCount()
		}
	}
	for part := range text.between(known, text.Len()) {
		all.Write(bytesOf(part))
	}
	return growing(format, text, messages, all), nil
}

// join returns the bytes of a text from one place on, until the next call.
func (c *Checker) join(text Text, from int) []byte {
	if n := text.Len() - from; n > cap(c.joined) {
		c.joined = make([]byte, 0, max(n, 2*cap(c.joined)))
	}
	c.joined = c.joined[:0]
	for part := range text.between(from, text.Len()) {
		c.joined = append(c.joined, part...)
	}
	return c.joined
}

// again makes a reader one of another text. It keeps its buffers.
func (r *reader) again(in []byte) {
	*r = reader{in: in, message: -1, text: r.text, out: r.out[:0], index: r.index, inner: r.inner}
}
