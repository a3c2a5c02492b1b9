package inspect

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/store/state"
)

const (
	manyMessages = 50       // on a page
	maxPart      = 4_000    // bytes of a text within a conversation
	maxPage      = 160_000  // bytes of markup that the texts of a page take
	overhead     = 500      // bytes of markup around a text
	maxRaw       = 16 << 10 // bytes of a message as it stands, beneath it
)

// A transcript is a page of a conversation.
type transcript struct {
	*state.View

	Session  versionRow
	Last     bool // it is the last version
	Hidden   bool
	Text     *excerpt // of what is no conversation, else nil
	Count    int
	Messages []*message
	Open     bool     // of calls whose results are not here, none is further on
	ByLine   bool     // its messages are the lines of a text, which have no pages
	Raw      *excerpt // of the message that the page is about, nil if it is about many
}

// First returns the number of the first message of the page, 0 if there is none.
func (t *transcript) First() int {
	if len(t.Messages) == 0 {
		return 0
	}
	return t.Messages[0].Number
}

// Until returns the number of the last message of the page, 0 if there is none.
func (t *transcript) Until() int {
	if len(t.Messages) == 0 {
		return 0
	}
	return t.Messages[len(t.Messages)-1].Number
}

// Number returns the parameter that names the version, empty for the last one.
func (t *transcript) Number() string {
	if t.Last {
		return ""
	}
	return strconv.FormatUint(t.Session.Number, 10)
}

// versionIn returns the version that a query names, or the last one if it names none.
func versionIn(view *state.View, query url.Values) (version state.SessionVersion, last bool, err error) {
	if query.Has("number") {
		version, err = versionOf(view, query)
		return version, false, err
	}
	version, ok := view.Session()
	if !ok {
		err = notFound("session")
	}
	return version, true, err
}

func (h *handler) transcript(view *state.View, query url.Values) (body, error) {
	version, last, err := versionIn(view, query)
	if err != nil {
		return nil, err
	}
	t := &transcript{View: view, Session: rowOf(view, version), Last: last, Hidden: !h.payloads}
	from, err := countOf(query, "from")
	if err != nil {
		return nil, err
	}
	until, err := countOf(query, "until")
	if err != nil || t.Hidden {
		return t, err
	}
	talk, ok := talkOf(version.Snapshot)
	if !ok {
		t.Text = h.excerptOfParts(version.Snapshot.Len(), version.Snapshot.Parts())
		return t, nil
	}
	t.Count = talk.Count
	if from > 0 {
		t.Messages = talk.page(from-1, from-1+manyMessages, false)
	} else {
		if until == 0 || until > talk.Count {
			until = talk.Count
		}
		t.Messages = talk.page(until-manyMessages, until, true)
	}
	t.Open = t.Until() == t.Count
	pair(t.Messages)
	return t, nil
}

// message is the page of one message, with more of it.
func (h *handler) message(view *state.View, query url.Values) (body, error) {
	t, text, err := h.messageOf(view, query)
	if err != nil {
		return nil, err
	}
	m := readMessage(t.Messages[0].Number, text, t.Messages[0].Bytes, maxShown)
	t.Messages[0] = m
	fit(t.Messages, false, maxPage)
	raw := h.excerptOf(text)
	raw.Bytes = m.Bytes
	raw.Text, raw.Cut = firstOf(indented(text), maxRaw)
	t.Raw = raw
	return t, nil
}

// messageOf returns the message that a query names: its number and length, and its text as
// far as it is read.
func (h *handler) messageOf(view *state.View, query url.Values) (t *transcript, text string, err error) {
	version, last, err := versionIn(view, query)
	if err != nil {
		return nil, "", err
	}
	n, err := countOf(query, "message")
	if err != nil {
		return nil, "", err
	}
	if !h.payloads {
		return nil, "", errHidden
	}
	talk, ok := talkOf(version.Snapshot)
	if !ok || n < 1 || n > talk.Count {
		return nil, "", notFound("message")
	}
	texts, _, lengths := talk.read(n-1, n, false)
	if len(texts) == 0 {
		return nil, "", notFound("message")
	}
	t = &transcript{View: view, Session: rowOf(view, version), Last: last, Count: talk.Count}
	t.Messages = []*message{{Number: n, Bytes: lengths[0]}}
	return t, texts[0], nil
}

// raw sends a message as a file, as it stands.
func (h *handler) raw(w http.ResponseWriter, r *http.Request) error {
	view, err := h.view(r)
	if err != nil {
		return err
	}
	t, text, err := h.messageOf(view, r.URL.Query())
	if err == nil && t.Messages[0].Bytes > len(text) {
		err = &problem{http.StatusNotFound, "Too long", "The message is too long to be taken out of the session. Download that."}
	}
	if err != nil {
		return err
	}
	return h.sendFile(w, fmt.Sprintf("message-%d.json", t.Messages[0].Number), strings.NewReader(text))
}

// countOf returns the number that a parameter has, 0 if it is not there. It is at most a
// billion, so that twice as many fit into an int of 32 bits, with some of a page.
func countOf(query url.Values, name string) (int, error) {
	if query.Get(name) == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(query.Get(name), 10, 31)
	if err != nil {
		err = unreadable(name)
	}
	return min(int(n), 1_000_000_000), err
}

// page returns messages from one place to before another: as many as a page has room for,
// the last ones or the first.
func (t *talk) page(first, last int, fromEnd bool) []*message {
	texts, at, lengths := t.read(first, last, fromEnd)
	messages := make([]*message, len(texts))
	for i, text := range texts {
		messages[i] = readMessage(at+i+1, text, lengths[i], maxPart)
	}
	return fit(messages, fromEnd, maxPage)
}

// readMessage reads a message of so many bytes. One that was cut is shown as it stands.
func readMessage(number int, text string, length, most int) *message {
	r := reader{most: most}
	m := &message{Parts: []*piece{{Kind: partOther}}}
	if length > len(text) {
		*m.Parts[0] = *r.made(partOther, text, false)
		m.Parts[0].Bytes = length
	} else {
		m = r.message(valueOf(text))
	}
	m.Number, m.Bytes = number, length
	return m
}

// fit returns as many messages as there is room for, at least one, of whose parts it leaves
// out those that there is no room for, but for the first.
func fit(messages []*message, fromEnd bool, room int) []*message {
	for n := range messages {
		m := messages[n]
		if fromEnd {
			m = messages[len(messages)-1-n]
		}
		room -= overhead
		for i, p := range m.Parts {
			room -= overhead + markup(p.Text)
			if room >= 0 || n == 0 && i == 0 {
				continue
			}
			if n > 0 {
				break
			}
			m.More += len(m.Parts) - i
			m.Parts = m.Parts[:i]
			break
		}
		if room < 0 && n > 0 {
			if fromEnd {
				return messages[len(messages)-n:]
			}
			return messages[:n]
		}
	}
	return messages
}

// markup returns how many bytes a text takes in a page or in its JSON, at most.
func markup(text string) int {
	n := len(text)
	for _, c := range text {
		switch c {
		case '"', '\'', '+':
			n += 4 // as &#34;
		case '\\', '\n', '\r', '\t':
			n++
		case '&', '<', '>':
			n += 5 // as \u003c
		case '\u2028', '\u2029':
			n += 3
		default:
			if c < ' ' {
				n += 5
			}
		}
	}
	return n
}

// pair puts results beside their calls.
func pair(messages []*message) {
	type named struct{ id, name string }
	waiting := make(map[named][]*piece)
	for _, m := range messages {
		for _, p := range m.Parts {
			key := named{id: p.ID}
			if p.ID == "" {
				key.name = p.Name
			}
			switch calls := waiting[key]; {
			case p.Kind == partCall:
				waiting[key] = append(calls, p)
			case p.Kind == partResult && len(calls) > 0 && key != named{}:
				calls[0].Result, p.From, p.Beside = p, m.Number, true
				waiting[key] = calls[1:]
			}
		}
	}
}

// Beside reports whether all of a message is shown beside the calls that it answers.
func (m *message) Beside() bool {
	return len(m.Parts) > 0 && m.More == 0 && !slices.ContainsFunc(m.Parts, func(p *piece) bool { return !p.Beside })
}

// Side returns the class of a message's role.
func (m *message) Side() string {
	switch m.Role {
	case "user", "assistant", "tool":
		return m.Role
	case "system", "developer":
		return "system"
	}
	return "other"
}

func (t *transcript) JSON() any {
	messages := t.Messages
	if messages == nil {
		messages = []*message{}
	}
	shown := struct {
		ofOne
		Session  versionJSON  `json:"session"`
		Hidden   bool         `json:"hidden"`
		Count    *int         `json:"count,omitempty"` // of all messages; left out if they are hidden
		Messages []*message   `json:"messages"`
		Text     *payloadJSON `json:"text,omitempty"` // of what is no conversation
	}{ofView(t.View), t.Session.shown(), t.Hidden, &t.Count, messages, payloadOf(t.Text)}
	if t.Hidden {
		shown.Count = nil
	}
	return shown
}

// A placed piece knows where it stands.
type placed struct {
	Piece   *piece
	of      *transcript
	message *message
	index   int
}

// With returns another piece in this place.
func (at placed) With(p *piece) placed {
	at.Piece = p
	return at
}

// Key names the place among all of a page.
func (at placed) Key() string { return fmt.Sprintf("%d-%d", at.message.Number, at.index) }

// Open reports whether a result may still come.
func (at placed) Open() bool { return at.of.Open }

// Alone reports whether the message has the page for itself.
func (at placed) Alone() bool { return at.of.Raw != nil }

// Whole returns the address of more of it.
func (at placed) Whole() string {
	page, number := "message", at.message.Number
	if at.Alone() {
		page = "raw"
	}
	if at.Piece.From > 0 {
		number = at.Piece.From
	}
	return link(page, "id", at.of.RuntimeID(), "number", at.of.Number(), "message", number)
}
