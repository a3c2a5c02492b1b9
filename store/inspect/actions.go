package inspect

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A Changer is a Source that can be changed: a *loopstore.Loop, or something that wraps
// one.
type Changer interface {
	Running
	batch.Committer
	Prune(ctx context.Context, id store.RuntimeID, keep store.Retention) (state.Removed, error)
	Compact(ctx context.Context) error
}

var _ Changer = (*loopstore.Loop)(nil)

// Actions let people change what a store holds: delete or prune a runtime, requeue or
// abandon an input, compact the journal. Each is shown before it is done, with what goes,
// and is done only if what was shown has not changed since. They are done to the Source of
// the handler, which must be a Changer: with another one nothing can be changed. Whoever
// reaches the handler may do all of them, unless Who says no. The zero value is useful.
type Actions struct {
	// Who names whoever a request is from, for the log and for the histories of inputs. If
	// it returns an error the request is refused, and the error is shown to nobody: it is
	// logged. The request's path ends in what is to be done, such as /delete. nil lets
	// everybody in, who is an address in the log, and nobody in a history.
	Who func(r *http.Request) (string, error)

	// Hosts are the names, without a port, that the pages are reached by, as the handler
	// sees them in the Host header. IP addresses and localhost need not be named. A request
	// by any other name is refused: a stranger's page can have a name of its own point here,
	// and then a browser takes both for one site.
	Hosts []string

	// Log gets a line for each action that was done or refused, without payloads. nil is
	// slog.Default().
	Log *slog.Logger
}

const (
	maxForm = 64 << 10 // bytes
	maxNote = 200      // characters
)

// acting is what a handler needs for Actions.
type acting struct {
	Actions
	to    Changer
	key   []byte // of seals; a new one with each handler
	cross http.CrossOriginProtection
}

// actingOf returns nil if nothing can be changed.
func actingOf(a *Actions, source Source) *acting {
	to, ok := source.(Changer)
	if a == nil || !ok {
		return nil
	}
	acts := &acting{Actions: *a, to: to, key: make([]byte, sha256.Size)}
	_, _ = rand.Read(acts.key) // it does not fail
	if acts.Log == nil {
		acts.Log = slog.Default()
	}
	return acts
}

// does reports whether a path is that of an action that is allowed.
func (a *acting) does(path string) bool {
	name, rooted := strings.CutPrefix(path, "/")
	_, ok := deeds[name]
	return ok && rooted && a != nil
}

// act shows what an action would do, or does it.
func (h *handler) act(w http.ResponseWriter, r *http.Request) error {
	// A form's request has an Origin only if the policy lets it have a referrer.
	w.Header().Set("Referrer-Policy", "same-origin")
	doing := pathOf(r)[1:]
	d := &deed{handler: h, deedKind: deeds[doing], Name: doing, RuntimeID: store.RuntimeID(r.URL.Query().Get("id")), from: r.RemoteAddr}
	if err := h.acts.admit(d, r); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if err := d.look(d, r); err != nil {
			return err
		}
		write(w, r, http.StatusOK, page{Template: "action", Title: d.Title(), Place: h.place, Body: d, Changes: true})
	case http.MethodPost:
		h.done(w, r, d, d.post(w, r))
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		return &problem{http.StatusMethodNotAllowed, "Not like this", "An action is looked at by GET, and done by POST."}
	}
	return nil
}

// admit finds out who asks, and refuses strangers.
func (a *acting) admit(d *deed, r *http.Request) error {
	if !a.known(r.Host) {
		a.log(d, "refused", "the host is unknown")
		return &problem{http.StatusMisdirectedRequest, "Not by this name",
			"Nothing can be changed under the name " + strconv.Quote(r.Host) + ". The program that serves these pages does not list it: see inspect.Actions."}
	}
	if a.Who != nil {
		who, err := a.Who(r)
		if err != nil {
			a.log(d, "refused", err.Error())
			return &problem{http.StatusForbidden, "Not allowed", "The program that serves these pages does not let you do this."}
		}
		d.Who = strings.ToValidUTF8(who, "\uFFFD")
	}
	if err := a.cross.Check(r); err != nil {
		a.log(d, "refused", err.Error())
		return &problem{http.StatusForbidden, "Sent from elsewhere", "The request came from a page of another site. Nothing was done."}
	}
	return nil
}

// known reports whether a Host is one that no stranger can give to this server.
func (a *acting) known(host string) bool {
	name := host
	if without, _, err := net.SplitHostPort(host); err == nil {
		name = without
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		slices.ContainsFunc(a.Hosts, func(known string) bool { return strings.EqualFold(known, name) })
}

// seal returns what only this handler can make of some texts.
func (a *acting) seal(texts ...string) string {
	mac := hmac.New(sha256.New, a.key)
	for _, text := range texts {
		_, _ = fmt.Fprintf(mac, "%d %s", len(text), text)
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (a *acting) sealed(seal string, texts ...string) bool {
	return subtle.ConstantTimeCompare([]byte(seal), []byte(a.seal(texts...))) == 1
}

// Token returns what a form has to send along. It is of use for this action on this
// thing, by this user, as it is now.
func (d *deed) Token() string { return d.acts.seal(d.sealedBy(d.Seen)...) }

func (d *deed) sealedBy(seen uint64) []string {
	return []string{"action", d.Address(), d.Who, strconv.FormatUint(seen, 10)}
}

// post does what a form asks for.
func (d *deed) post(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return &problem{http.StatusBadRequest, "Bad form", "The form cannot be read."}
	}
	if err := d.look(d, r); err != nil {
		return err
	}
	seen, err := strconv.ParseUint(r.PostForm.Get("seen"), 10, 64)
	if err != nil || !d.acts.sealed(r.PostForm.Get("token"), d.sealedBy(seen)...) {
		return &problem{http.StatusForbidden, "The form is not valid",
			"It is for something else, or the program that serves these pages has been started again since. Open the page anew."}
	}
	if seen != d.Seen {
		return &changedError{seen, d.Seen}
	}
	return d.do(d, r)
}

// done answers a request that something be done, and logs it.
func (h *handler) done(w http.ResponseWriter, r *http.Request, d *deed, err error) {
	if err != nil {
		u := d.undoneBy(err)
		h.acts.log(d, u.Outcome, err.Error())
		if r.Context().Err() == nil {
			write(w, r, u.status, page{Template: "undone", Title: u.title, Place: h.place, Body: u, Changes: true})
		}
		return
	}
	h.acts.log(d, "done", "")
	if wantsJSON(r) {
		write(w, r, http.StatusOK, page{Body: &d.result})
		return
	}
	// Relative, since the handler does not know the prefix that it stands under.
	notice := d.result.Notice
	w.Header().Set("Location", link(d.home, append(d.pairs, "notice", notice, "seal", h.acts.seal("notice", notice))...))
	w.WriteHeader(http.StatusSeeOther)
}

// log says what became of an action.
func (a *acting) log(d *deed, outcome, reason string) {
	level, id := slog.LevelInfo, string(d.RuntimeID)
	if outcome != "done" {
		level = slog.LevelWarn
	}
	if outcome == "refused" {
		id = d.RuntimeID.Short() // of whatever anybody likes to send
	}
	attrs := []slog.Attr{
		slog.String("action", d.Name), slog.String("who", cmp.Or(d.Who, d.from)), slog.String("outcome", outcome),
		slog.String("runtime_id", id), slog.Uint64("version", d.Seen),
	}
	if d.Input != nil {
		attrs = append(attrs, slog.String("input_id", d.Input.State.InputID.String()))
	}
	if reason != "" {
		attrs = append(attrs, slog.String("reason", reason))
	}
	if d.result.Revision != 0 {
		attrs = append(attrs, slog.Uint64("revision", d.result.Revision))
	}
	a.Log.LogAttrs(context.Background(), level, "inspect action", attrs...)
}

// An offer is a link to what can be done with what a page shows.
type offer struct{ Title, Address string }

// offers adds to a page what can be done with what it shows, and what was.
func (h *handler) offers(r *http.Request, p *page) {
	if h.acts == nil {
		return
	}
	p.Changes = true
	if query := r.URL.Query(); h.acts.sealed(query.Get("seal"), "notice", query.Get("notice")) {
		p.Notice = query.Get("notice")
	}
	switch b := p.Body.(type) {
	case *overview:
		p.Offers = []offer{
			{"Prune", link("prune", "id", b.RuntimeID())}, {"Delete", link("delete", "id", b.RuntimeID())},
		}
	case *single:
		if b.Input.CurrentState.IsTerminal() {
			return
		}
		if b.Input.CurrentState != store.InputQueued {
			p.Offers = append(p.Offers, offer{"Requeue", link("requeue", "id", b.RuntimeID(), "input", b.Input.InputID)})
		}
		p.Offers = append(p.Offers, offer{"Abandon", link("abandon", "id", b.RuntimeID(), "input", b.Input.InputID)})
	case *board:
		if b.Journal != nil {
			p.Offers = []offer{{"Compact the journal", "compact"}}
		}
	}
}
