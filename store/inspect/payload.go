package inspect

import (
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
)

// maxShown is how many bytes of a payload a page shows. All of it can be downloaded.
const maxShown = 32 << 10

var errHidden = &problem{http.StatusForbidden, "Payloads are hidden", "The program that serves these pages does not show them."}

// An excerpt is as much of a payload as a page shows.
type excerpt struct {
	Bytes  int
	Hidden bool
	Text   string // without the bytes that are not UTF-8
	Cut    bool
}

func (h *handler) excerptOf(text string) *excerpt {
	return h.excerptOfParts(len(text), slices.Values([]string{text}))
}

// excerptOfParts is excerptOf a text in parts. It looks at no more than it shows.
func (h *handler) excerptOfParts(length int, parts iter.Seq[string]) *excerpt {
	e := &excerpt{Bytes: length, Hidden: !h.payloads}
	if e.Hidden {
		return e
	}
	var text strings.Builder
	for part := range parts {
		if text.WriteString(part); text.Len() > maxShown {
			break
		}
	}
	e.Text, e.Cut = firstOf(text.String(), maxShown)
	return e
}

// payload sends the payload of an input.
func (h *handler) payload(w http.ResponseWriter, r *http.Request) error {
	view, err := h.view(r)
	if err != nil {
		return err
	}
	input, err := inputOf(view, r.URL.Query())
	if err == nil && input.State.PersistedInput == nil {
		err = notFound("payload")
	}
	if err != nil {
		return err
	}
	return h.sendFile(w, "input-"+input.State.InputID.String()+".txt", strings.NewReader(string(input.State.PersistedInput)))
}

// snapshot sends a session snapshot: the latest one, or that of a version.
func (h *handler) snapshot(w http.ResponseWriter, r *http.Request) error {
	view, err := h.view(r)
	if err != nil {
		return err
	}
	if query := r.URL.Query(); query.Has("number") {
		version, err := versionOf(view, query)
		if err != nil {
			return err
		}
		return h.sendFile(w, fmt.Sprintf("snapshot-%d.txt", version.Number), version.Snapshot)
	}
	snapshot, ok := view.Snapshot()
	if !ok {
		return notFound("snapshot")
	}
	return h.sendFile(w, "snapshot.txt", snapshot)
}

// sendFile sends a payload as a file, byte for byte. No browser takes it for a page.
func (h *handler) sendFile(w http.ResponseWriter, name string, text io.WriterTo) error {
	if !h.payloads {
		return errHidden
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = text.WriteTo(w) // an error means that nobody reads it
	return nil
}
