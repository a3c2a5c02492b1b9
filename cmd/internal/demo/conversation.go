package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

//go:embed conversations/*.json
var embedded embed.FS

// A document is a session document, split at its messages.
type document struct {
	name     string
	head     []byte // up to and with the messages' opening bracket
	messages [][]byte
	tail     []byte // from their closing bracket on
	// canonical means that the conversation's digest is the SHA-256 of the messages
	// as they are spelled.
	canonical bool
}

// Documents are the session documents that the conversations grow from.
type Documents []*document

// maxDocument is the longest that is read.
const maxDocument = 64 << 20

// ReadDocuments reads the files, or the demo's own conversations if there are none.
func ReadDocuments(ctx context.Context, paths []string) (Documents, error) {
	read := func(path string) ([]byte, error) { return cli.ReadFile(ctx, path, maxDocument) }
	if len(paths) == 0 {
		read = embedded.ReadFile
		paths, _ = fs.Glob(embedded, "conversations/*.json")
	}
	var all Documents
	for _, path := range paths {
		text, err := read(path)
		if err != nil {
			return nil, err
		}
		d, err := newDocument(path, text)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func newDocument(name string, text []byte) (*document, error) {
	read, err := session.Read(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s is not a session document: %w", name, err)
	}
	d := &document{name: name}
	if err := d.split(text); err != nil {
		return nil, fmt.Errorf("%s cannot be split into messages: %w", name, err)
	}
	if len(d.messages) == 0 {
		return nil, fmt.Errorf("%s has no messages, so its conversation cannot grow", name)
	}
	whole := sha256.Sum256(fmt.Appendf(nil, "[%s]", bytes.Join(d.messages, []byte{','})))
	d.canonical = whole == read.Digest()
	return d, nil
}

// split splits text, which must be a session document.
func (d *document) split(text []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := skipToMessages(dec); err != nil {
		return err
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	d.head = text[:dec.InputOffset()]
	for dec.PeekKind() != ']' {
		message, err := dec.ReadValue()
		if err != nil {
			return err
		}
		end := int(dec.InputOffset())
		d.messages = append(d.messages, text[end-len(message):end])
	}
	_, err := dec.ReadToken()
	d.tail = text[max(0, dec.InputOffset()-1):]
	return err
}

// skipToMessages leaves dec before the messages: the member of that name, or the third
// value of a document that is spelled as an array.
func skipToMessages(dec *jsontext.Decoder) error {
	open, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if open.Kind() == '[' {
		return errors.Join(dec.SkipValue(), dec.SkipValue())
	}
	for {
		name, err := dec.ReadToken()
		if err != nil || name.String() == "messages" {
			return err
		}
		if err := dec.SkipValue(); err != nil {
			return err
		}
	}
}

// holds reports whether a snapshot with count messages grew from this document.
func (d *document) holds(snapshot []byte, count uint64) bool {
	rest, ok := bytes.CutPrefix(snapshot, d.head)
	for i := uint64(0); ok && i < count; i++ {
		if i > 0 {
			rest, ok = bytes.CutPrefix(rest, []byte{','})
		}
		if ok {
			rest, ok = bytes.CutPrefix(rest, d.messages[i%uint64(len(d.messages))])
		}
	}
	return ok && bytes.Equal(rest, d.tail)
}

const (
	messagesPerTurn = 2       // an input and its answer
	ample           = 1 << 16 // bytes of a snapshot after which a conversation begins anew
)

// A conversation is a document that grows turn by turn. At its end it continues with
// the first message, or begins anew if it is large by then.
type conversation struct {
	document *document
	snapshot []byte // the whole document so far; empty before the first turn
	count    int    // of its messages
}

// grow adds the messages of one turn. It changes the snapshot in place.
func (c *conversation) grow() {
	d := c.document
	next := c.count % len(d.messages)
	if next == 0 && (len(c.snapshot) == 0 || len(c.snapshot) > ample) {
		c.snapshot = append(append(c.snapshot[:0], d.head...), d.tail...)
		c.count = 0
	}
	c.snapshot = c.snapshot[:len(c.snapshot)-len(d.tail)]
	for _, message := range d.messages[next:min(next+messagesPerTurn, len(d.messages))] {
		if c.count > 0 {
			c.snapshot = append(c.snapshot, ',')
		}
		c.snapshot = append(c.snapshot, message...)
		c.count++
	}
	c.snapshot = append(c.snapshot, d.tail...)
}

// digest returns the conversation's digest. For a canonical document it does not use
// package session.
func (c *conversation) digest() ([sha256.Size]byte, error) {
	d := c.document
	if d.canonical {
		return sha256.Sum256(c.snapshot[len(d.head)-1 : len(c.snapshot)-len(d.tail)+1]), nil
	}
	read, err := session.Read(string(c.snapshot))
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return read.Digest(), nil
}

// resume takes up the conversation that the store holds. The receipt must be the
// snapshot's.
func (c *conversation) resume(snapshot []byte, receipt store.RunBoundaryReceipt) error {
	d := c.document
	rest, ok := bytes.CutPrefix(snapshot, d.head)
	if !ok || !bytes.HasSuffix(rest, d.tail) {
		return errors.New("the stored snapshot is of another session")
	}
	c.snapshot, c.count = snapshot, int(receipt.MessageCount)
	digest, err := c.digest()
	if err != nil {
		return err
	}
	if got := receipt.ConversationDigest; got == nil || *got != hex.EncodeToString(digest[:]) {
		return errors.New("the stored snapshot does not match its receipt")
	}
	return nil
}
