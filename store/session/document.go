package session

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/google/uuid"
)

// A Document is a session document that was read. It is immutable and may be
// shared. It takes less than 512 bytes besides its text.
type Document struct {
	id     uuid.UUID
	count  uint64
	digest [sha256.Size]byte
	text   string
	// text[from:to] is the array of messages from its opening bracket to the end
	// of the last message. read is the hash of its canonical text.
	from, to int
	read     hash.Cloner
}

// ID returns the session's id.
func (d *Document) ID() uuid.UUID { return d.id }

// MessageCount returns the number of messages in the conversation.
func (d *Document) MessageCount() uint64 { return d.count }

// Digest returns the SHA-256 of the conversation's canonical text.
func (d *Document) Digest() [sha256.Size]byte { return d.digest }

// Text returns the text that was read.
func (d *Document) Text() string { return d.text }

// HexDigest returns the digest as receipts spell it: 64 lower-case hex digits.
func (d *Document) HexDigest() string { return hex.EncodeToString(d.digest[:]) }

// Continue reads a session document, with the same result as [Read]. If its
// messages begin with the very bytes of d's, only those that follow are read:
// equal bytes read the same, and where a message ends depends on nothing after
// it.
func (d *Document) Continue(text string) (*Document, error) {
	r := newReader(text)
	next := &Document{text: text}
	_, err := r.members(document, document.fields, func(i int) error {
		return r.member(i, next, d)
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return nil, err
	}
	return next, nil
}

// messages reads the conversation into d. It goes on from last if it can.
func (r *reader) messages(d, last *Document) error {
	if r.peek() != '[' {
		return r.fail("expected an array")
	}
	d.from = r.pos
	if err := r.enter(); err != nil {
		return err
	}
	digest := r.resume(d, last)
	for {
		d.to = r.pos
		more, err := r.more(d.count == 0, ']')
		if err != nil {
			return err
		}
		if !more {
			break
		}
		r.message = int(d.count)
		if err := r.readMessage(digest, d.count); err != nil {
			return err
		}
		r.message = -1
		d.count++
	}
	r.leave()
	d.read = digest.end(d.digest[:0])
	return nil
}

// resume skips the messages that last has too, and returns a digester that has
// taken them in.
func (r *reader) resume(d, last *Document) *digester {
	known := last.text[last.from:last.to]
	if last.count == 0 || !r.resumes(d.from, known) {
		return newDigester(r.in)
	}
	r.pos, d.count = d.from+len(known), last.count
	return &digester{hash: cloneHash(last.read), in: r.in}
}

func (r *reader) resumes(from int, known string) bool {
	return len(r.in)-from >= len(known) && string(r.in[from:from+len(known)]) == known
}

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
