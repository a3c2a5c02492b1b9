package inspect

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/loopstore/loopstore/store/state"
)

// maxShown is how many bytes of a payload a page shows. All of it can be downloaded.
const maxShown = 32 << 10

// An excerpt is as much of a payload as a page shows.
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
		end := maxShown
		for end > maxShown-utf8.UTFMax && !utf8.RuneStart(text[end]) { // within a character
			end--
		}
		text = text[:end]
	}
	e.Text = strings.ToValidUTF8(text, "\uFFFD")
	return e
}

// snapshotFacts is what is known of a session snapshot.
type snapshotFacts struct {
	*excerpt

	SessionID, Digest string // empty if it is not a session document
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
		facts.SessionID, facts.Digest, facts.Messages = document.ID().String(), document.HexDigest(), document.MessageCount()
	}
	return facts
}

// payload sends the payload of an input.
func (h *handler) payload(w http.ResponseWriter, r *http.Request) error {
	view, err := h.view(r)
	if err != nil {
		return err
	}
	input, err := inputOf(view, r.URL.Query())
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

// send sends a payload as a file, byte for byte. No browser takes it for a page.
func (h *handler) send(w http.ResponseWriter, name, text string) error {
	if !h.payloads {
		return &problem{http.StatusForbidden, "Payloads are hidden", "The program that serves these pages does not show them."}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = strings.NewReader(text).WriteTo(w) // an error means that nobody reads it
	return nil
}
