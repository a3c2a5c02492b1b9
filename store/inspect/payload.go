package inspect

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/loopstore/loopstore/store/state"
)

// maxShown is how much of a payload stands in a page, in bytes. All of it is to
// be had as a file.
const maxShown = 32 << 10

// An excerpt is a payload, or as much of it as a page has.
type excerpt struct {
	Bytes  int
	Hidden bool
	Text   string // without the bytes that are not UTF-8
	Cut    bool
}

func (h *handler) excerptOf(text string) *excerpt {
	e := &excerpt{Bytes: len(text), Hidden: !h.payloads}
	if e.Hidden {
		return e
	}
	if e.Cut = len(text) > maxShown; e.Cut {
		text = text[:maxShown]
		for range utf8.UTFMax - 1 { // the last character may be cut
			if r, n := utf8.DecodeLastRuneInString(text); r == utf8.RuneError && n == 1 {
				text = text[:len(text)-1]
			}
		}
	}
	e.Text = strings.ToValidUTF8(text, "\uFFFD")
	return e
}

// snapshotFacts say what is known of a session snapshot.
type snapshotFacts struct {
	*excerpt

	Read              bool // as a session document; it is stored as it came otherwise
	SessionID, Digest string
	Messages          uint64
}

// factsOf returns nil if there is no snapshot.
func (h *handler) factsOf(view *state.View) *snapshotFacts {
	snapshot, ok := view.Snapshot()
	if !ok {
		return nil
	}
	facts := &snapshotFacts{excerpt: h.excerptOf(snapshot.String())}
	if document := snapshot.Document(); document != nil {
		facts.Read = true
		facts.SessionID, facts.Digest, facts.Messages = document.ID().String(), document.HexDigest(), document.MessageCount()
	}
	return facts
}

// payload sends what an input says.
func (h *handler) payload(w http.ResponseWriter, r *http.Request) error {
	_, input, err := h.oneInput(r)
	if err == nil && input.PersistedInput == nil {
		err = notFound("payload")
	}
	if err != nil {
		return err
	}
	return h.send(w, "input-"+input.InputID.String()+".txt", string(input.PersistedInput))
}

// snapshot sends a session snapshot.
func (h *handler) snapshot(w http.ResponseWriter, r *http.Request) error {
	view, err := h.view(r)
	if err != nil {
		return err
	}
	snapshot, ok := view.Snapshot()
	if !ok {
		return notFound("snapshot")
	}
	return h.send(w, "snapshot.txt", snapshot.String())
}

// send sends a payload as a file, byte for byte: no browser takes it for a page.
func (h *handler) send(w http.ResponseWriter, name, text string) error {
	if !h.payloads {
		return &problem{http.StatusForbidden, "Payloads are hidden", "The program that shows these pages does not allow them."}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = strings.NewReader(text).WriteTo(w) // an error means that nobody reads it
	return nil
}
