package session

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync/atomic"
	"unsafe"

	"github.com/google/uuid"
)

// A Document is a session's text, with what was read of it. Of FormatUnset that is
// nothing. It is immutable and may be shared. It takes less than 512 bytes besides its text.
type Document struct {
	facts Facts
	text  Text
	read  atomic.Pointer[hashed] // nil until somebody needs it
}

// Facts are what is known of a text without looking at it.
type Facts struct {
	Format   Format
	ID       uuid.UUID         // of FormatMeerkat, else zero
	Digest   [sha256.Size]byte // of the conversation
	Messages uint64            // in it
	// From and To are where the messages are: from the opening bracket to the end of
	// the last one of FormatMeerkat, and else all of the text.
	From, To int
}

// hashed is the hash of the messages, to go on from.
type hashed struct{ hash.Cloner }

// Restore returns the document of a text that was read before, with what was found
// then. It only looks whether that can be.
func Restore(facts Facts, text Text) (d *Document, ok bool) {
	ok = facts.Format.Valid() && 0 <= facts.From && facts.From <= facts.To && facts.To <= text.Len()
	if facts.Format.Grows() {
		ok = ok && facts.ID == uuid.Nil && facts.From == 0 && facts.To == text.Len()
	}
	switch facts.Format {
	case FormatUnset:
		ok = facts == Facts{}
	case FormatLines:
		ok = ok && facts.Messages <= uint64(text.Len()/len("0\n"))
	}
	return &Document{facts: facts, text: text}, ok
}

// Facts returns what is known of the text.
func (d *Document) Facts() Facts { return d.facts }

// Format returns the text's format, FormatUnset if d is nil.
func (d *Document) Format() Format {
	if d == nil {
		return FormatUnset
	}
	return d.facts.Format
}

// ID returns the session's id, which only FormatMeerkat has.
func (d *Document) ID() uuid.UUID { return d.facts.ID }

// MessageCount returns the number of messages in the conversation, 0 if d is nil.
func (d *Document) MessageCount() uint64 {
	if d == nil {
		return 0
	}
	return d.facts.Messages
}

// Digest returns the conversation's SHA-256: see the formats.
func (d *Document) Digest() [sha256.Size]byte { return d.facts.Digest }

// HexDigest returns the digest as receipts spell it: 64 lower-case hex digits.
func (d *Document) HexDigest() string { return hex.EncodeToString(d.facts.Digest[:]) }

// Text returns the text, an empty one if d is nil.
func (d *Document) Text() Text {
	if d == nil {
		return Text{}
	}
	return d.text
}

// Verify reads the text again, and reports whether it is what the document says. A
// [Checker] does so for many.
func (d *Document) Verify() bool { return new(Checker).Verify(d) }

// Replace reads a whole text that comes in the place of d, which may be nil. What
// text has from d is shared, and is neither read nor hashed again: equal bytes read
// the same, and where a message ends depends on nothing after it. Only FormatOpaque
// is told how many messages there are. The error is an *Error.
func (d *Document) Replace(format Format, text string, messages uint64) (*Document, error) {
	switch format {
	case FormatUnset:
		return &Document{text: d.Text().Replace(text)}, nil
	case FormatMeerkat:
		return d.replace(text)
	}
	if d.Format() == format && d.text.isAt(0, d.text.Len(), text) {
		more, err := ReadAddition(format, text[d.text.Len():], messages)
		if err != nil {
			where := err.(*Error)
			where.Offset += d.text.Len()
			where.Line += int(d.facts.Messages)
			return nil, where
		}
		return more.To(d), nil
	}
	all, err := ReadAddition(format, text, messages)
	if err != nil {
		return nil, err
	}
	return all.after(sha256.New().(hash.Cloner), d.Text().Replace(text), 0), nil
}

// An Addition is what is to be appended to a text of FormatLines or FormatOpaque. It
// shares the bytes.
type Addition struct {
	format   Format
	bytes    string
	messages uint64 // in it; of FormatOpaque, in all of the text then
}

// ReadAddition reads what is to be appended. Of FormatOpaque it is told how many
// messages all of the text will be. The error is an *Error, whose places are those in
// bytes.
func ReadAddition(format Format, bytes string, messages uint64) (Addition, error) {
	switch format {
	case FormatLines:
		var err error
		if messages, err = readLines(bytes); err != nil {
			return Addition{}, err
		}
	case FormatOpaque:
	default:
		return Addition{}, &Error{Message: -1, Reason: "a format that nothing can be appended to"}
	}
	return Addition{format, bytes, messages}, nil
}

// To returns a document that has the addition at its end, of d or of an empty one if
// d is nil. It copies the addition, and hashes no more than that if d is
// [Document.Hashed].
func (a Addition) To(d *Document) *Document {
	if d == nil {
		return a.after(sha256.New().(hash.Cloner), TextOf(a.bytes), 0)
	}
	return a.after(d.hash(), d.text.Append(a.bytes), d.facts.Messages)
}

// after returns the document of a text that ends with the addition, from the hash of
// what is before it and how many messages that has.
func (a Addition) after(read hash.Cloner, text Text, messages uint64) *Document {
	read.Write(bytesOf(a.bytes))
	if a.format == FormatLines {
		messages += a.messages
	} else {
		messages = a.messages
	}
	return growing(a.format, text, messages, read)
}

// growing returns the document of a text that may grow, which was hashed.
func growing(format Format, text Text, messages uint64, read hash.Cloner) *Document {
	d := &Document{text: text, facts: Facts{Format: format, Messages: messages, To: text.Len()}}
	read.Sum(d.facts.Digest[:0])
	d.read.Store(&hashed{read})
	return d
}

// Hashed reports whether the hash is there to go on from. That of a document that was
// restored is not, until somebody has gone on from it.
func (d *Document) Hashed() bool { return d == nil || d.read.Load() != nil }

// hash returns the hash of all of a text that may grow. Two goroutines may both make
// it: they are alike.
func (d *Document) hash() hash.Cloner {
	if d.read.Load() == nil {
		all := sha256.New().(hash.Cloner)
		for part := range d.text.Parts() {
			all.Write(bytesOf(part))
		}
		d.read.Store(&hashed{all})
	}
	return cloneHash(d.read.Load())
}

// bytesOf returns the bytes of a text, which must not be changed.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// replace reads a document of Meerkat's. If its messages begin with the very bytes of
// d's, only those that follow are read.
func (d *Document) replace(text string) (*Document, error) {
	next := &Document{facts: Facts{Format: FormatMeerkat}}
	r := newReader(text)
	if err := r.document(next, d); err != nil {
		return nil, err
	}
	var known int // of the messages
	if r.resumed && next.facts.From == d.facts.From {
		known = d.facts.To - d.facts.From
	}
	next.text = d.Text().replace(text, next.facts.From, next.facts.From+known)
	return next, nil
}

// document reads a document of Meerkat's into d. It goes on from last if it can.
func (r *reader) document(d, last *Document) error {
	_, err := r.members(document, document.fields, func(i int) error {
		return r.member(i, d, last)
	})
	if err == nil {
		err = r.end()
	}
	return err
}

// messages reads the conversation into d. It goes on from last if it can.
func (r *reader) messages(d, last *Document) error {
	if r.peek() != '[' {
		return r.fail("expected an array")
	}
	f := &d.facts
	f.From = r.pos
	if err := r.enter(); err != nil {
		return err
	}
	digest := r.resume(f, last)
	for {
		f.To = r.pos
		more, err := r.more(f.Messages == 0, ']')
		if err != nil {
			return err
		}
		if !more {
			break
		}
		r.message = int(f.Messages)
		if err := r.readMessage(digest, f.Messages); err != nil {
			return err
		}
		r.message = -1
		f.Messages++
	}
	r.leave()
	d.read.Store(&hashed{digest.end(f.Digest[:0])})
	return nil
}

// resume skips the messages that last has too, and returns a digester that has taken
// them in.
func (r *reader) resume(f *Facts, last *Document) *digester {
	if last == nil || last.facts.Format != FormatMeerkat || last.facts.Messages == 0 {
		return newDigester(r.in)
	}
	read, known := last.read.Load(), last.facts.To-last.facts.From
	if read == nil || !last.text.isAt(last.facts.From, last.facts.To, stringOf(r.in[f.From:])) {
		return newDigester(r.in)
	}
	r.pos, r.resumed, f.Messages = f.From+known, true, last.facts.Messages
	return &digester{hash: cloneHash(read), in: r.in}
}

// stringOf returns bytes as a text, while nobody changes them.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// readMessage reads message n and adds it to the digest.
func (r *reader) readMessage(digest *digester, n uint64) error {
	r.peek()
	start, depth := r.pos, r.depth
	if r.canonical(message) {
		digest.verbatim(n, start, r.pos)
		return nil
	}
	r.pos, r.depth = start, depth
	digest.separate(n)
	r.sink = digest.hash
	err := r.rewrite(message)
	r.flush()
	return err
}
