package eventlog

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A Store is what the logs need of one. A *loopstore.Loop has all of it.
type Store interface {
	batch.Committer
	state.Viewer
	Runtimes(ctx context.Context, listing state.Listing) iter.Seq2[state.RuntimeSummary, error]
}

// ErrNotFound means that there is no such session, and ErrExists that there is one. Nothing
// was stored.
var (
	ErrNotFound = errors.New("eventlog: no such session")
	ErrExists   = errors.New("eventlog: the session exists")
)

// The prefixes of keys that are not the session's alone.
const (
	AppPrefix  = "app:"
	UserPrefix = "user:"
	TempPrefix = "temp:"
)

// A Name is that of a session.
type Name struct{ App, User, ID string }

// A State maps keys to values, which are JSON. null takes a key away.
type State = map[string]json.RawMessage

// An Event is one of a session.
type Event struct {
	ID      string          `json:"id,omitempty"`
	At      time.Time       `json:"at"`
	Partial bool            `json:"-"`                     // it is not stored
	Delta   State           `json:"state_delta,omitempty"` // of one that was loaded, the session's own keys
	Body    json.RawMessage `json:"body,omitempty"`        // whatever else it has; JSON
}

// A Session is a handle: a session as it was when it was loaded, or appended to. It is for
// one goroutine.
type Session struct {
	Name    Name
	Events  []Event
	State   State     // the session's own, and with their prefixes what it shares and what is temporary
	Updated time.Time // of the last event, or when it was made

	version uint64    // of its runtime
	made    [3]string // the ids of the first lines of its log, the app's and the user's: another log has another
	read    [3]int    // how many bytes of each are in the fields
}

// A Filter says which events are loaded. The zero value is all.
type Filter struct {
	Last  int       // the last so many; 0 means all
	Since time.Time // those of then or later; the zero time means all
}

// A Service has the sessions of a store.
type Service struct{ store Store }

// New returns a service on a store, which others may use too.
func New(s Store) *Service { return &Service{s} }

const sessions = "session/"

// The runtimes: names are escaped, so that none is a part of another.
func (n Name) runtime() store.RuntimeID {
	return store.RuntimeID(sessions + url.PathEscape(n.App) + "/" + url.PathEscape(n.User) + "/" + url.PathEscape(n.ID))
}

func (n Name) user() store.RuntimeID {
	return store.RuntimeID("user/" + url.PathEscape(n.App) + "/" + url.PathEscape(n.User))
}

func (n Name) app() store.RuntimeID { return store.RuntimeID("app/" + url.PathEscape(n.App)) }

// Create makes a session with a state. The error is ErrExists if there is one. A session that
// was deleted may be made again, also where the store keeps tombstones.
func (s *Service) Create(ctx context.Context, n Name, initial State) (*Session, error) {
	made := Event{ID: rand.Text(), At: time.Now(), Delta: initial}
	b, err := n.batch(made)
	if err != nil {
		return nil, err
	}
	b.If = []batch.Condition{batch.RuntimeAbsent{RuntimeID: n.runtime()}}
	b.Then = append([]batch.Write{batch.ReviveRuntime{RuntimeID: n.runtime()}}, b.Then...)
	result, err := s.store.Commit(ctx, b)
	if errors.Is(err, store.ErrConflict) {
		return nil, ErrExists
	}
	if err != nil {
		return nil, err
	}
	session := &Session{Name: n, State: State{}, Updated: made.At, made: [3]string{made.ID}, version: result.Revision}
	session.change(initial)
	_ = s.catchUp(ctx, session) // it has been made, whether it can be read now or not
	return session, nil
}

// Get loads a session. It reads the events first, and then what the session shares: a change
// of that may be in State already while its event is not in Events.
func (s *Service) Get(ctx context.Context, n Name, f Filter) (*Session, error) {
	session := &Session{Name: n, State: State{}}
	if err := s.catchUp(ctx, session); err != nil {
		return nil, err
	}
	if !f.Since.IsZero() {
		session.Events = slices.DeleteFunc(session.Events, func(e Event) bool { return e.At.Before(f.Since) })
	}
	if f.Last > 0 && len(session.Events) > f.Last {
		session.Events = session.Events[len(session.Events)-f.Last:]
	}
	return session, nil
}

// catchUp takes over what was stored since the handle was loaded, or caught up. After an error
// the handle has not changed.
func (s *Service) catchUp(ctx context.Context, session *Session) error {
	n := session.Name
	now, made, version := session.read, session.made, uint64(0)
	var added [len(now)][]Event
	for i, id := range []store.RuntimeID{n.runtime(), n.app(), n.user()} {
		view, err := s.store.View(ctx, id)
		if err != nil {
			return err
		}
		snapshot, _ := view.Snapshot()
		first, err := events(id, snapshot, 0, 1)
		if err != nil {
			return err
		}
		if made[i] = ""; len(first) > 0 {
			made[i] = first[0].ID
		}
		switch known := session.made[i]; {
		case i > 0 && made[i] != known:
			now[i] = 0 // somebody has removed what was shared
		case i == 0 && (len(first) == 0 || known != "" && made[i] != known):
			return ErrNotFound
		case i == 0:
			version = view.Version()
		}
		if added[i], err = events(id, snapshot, now[i], math.MaxInt); err != nil {
			return err
		}
		now[i] = snapshot.Len()
	}
	for i, e := range added[0] {
		if session.Updated = e.At; session.read[0] > 0 || i > 0 { // how it was made is none of its events
			session.Events = append(session.Events, e)
		}
	}
	for i, prefix := range []string{AppPrefix, UserPrefix} {
		if made[1+i] != session.made[1+i] {
			maps.DeleteFunc(session.State, func(key string, _ json.RawMessage) bool { return strings.HasPrefix(key, prefix) })
		}
	}
	for _, all := range added {
		for _, e := range all {
			session.change(e.Delta)
		}
	}
	session.version, session.made, session.read = version, made, now
	return nil
}

// Append adds an event to a session, and to the handle. What others have appended since it was
// loaded comes to the handle too, in the order in which it was stored. If that cannot be read,
// since ctx has ended, say, the event is stored all the same, and comes with the next one. A
// partial event changes the handle's temporary state only. The error is ErrNotFound if the
// session was deleted, also if there is another by its name now.
func (s *Service) Append(ctx context.Context, session *Session, e Event) error {
	if e.Partial {
		session.keepTemporary(e.Delta)
		return nil
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	b, err := session.Name.batch(e)
	if err != nil {
		return err
	}
	if session.version == 0 { // it was made by hand
		if err := s.catchUp(ctx, session); err != nil {
			return err
		}
	}
	for {
		b.If = []batch.Condition{batch.VersionIs{RuntimeID: session.Name.runtime(), Version: session.version}}
		_, err := s.store.Commit(ctx, b)
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if err := s.catchUp(ctx, session); err != nil {
			return err
		}
	}
	session.keepTemporary(e.Delta)
	_ = s.catchUp(ctx, session) // it is stored
	return nil
}

// List returns the names of the sessions of a user in an app, or with an empty user of all, in
// the order in which they were made.
func (s *Service) List(ctx context.Context, app, user string) (all []Name, err error) {
	prefix := sessions + url.PathEscape(app) + "/"
	if user != "" {
		prefix += url.PathEscape(user) + "/"
	}
	for summary, err := range s.store.Runtimes(ctx, state.Listing{Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		parts := strings.Split(strings.TrimPrefix(string(summary.RuntimeID), sessions), "/")
		for i := range parts {
			text, unescaped := url.PathUnescape(parts[i])
			parts[i], err = text, errors.Join(err, unescaped)
		}
		if len(parts) != 3 || err != nil {
			return nil, errors.Join(fmt.Errorf("eventlog: runtime %q is no session", summary.RuntimeID.Short()), err)
		}
		all = append(all, Name{parts[0], parts[1], parts[2]})
	}
	return all, nil
}

// Delete removes a session. What it shares stays. It does nothing if there is none.
func (s *Service) Delete(ctx context.Context, n Name) error {
	_, err := s.store.Commit(ctx, batch.Batch{Then: []batch.Write{batch.DeleteRuntime{RuntimeID: n.runtime()}}})
	return err
}

// batch returns the writes of an event: a line of the session, and one of each that shares
// what it changes.
func (n Name) batch(e Event) (b batch.Batch, err error) {
	if !utf8.ValidString(e.ID) {
		return b, store.InField("id", &store.ValueError{Reason: "not UTF-8"})
	}
	if _, east := e.At.Zone(); east%60 != 0 { // which JSON's times cannot have
		e.At = e.At.UTC()
	}
	own, app, user := State{}, State{}, State{}
	for key, value := range e.Delta {
		if !utf8.ValidString(key) {
			return b, store.InField("state_delta", &store.ValueError{Reason: "a key is not UTF-8"})
		}
		switch {
		case strings.HasPrefix(key, TempPrefix):
		case strings.HasPrefix(key, AppPrefix):
			app[key] = value
		case strings.HasPrefix(key, UserPrefix):
			user[key] = value
		default:
			own[key] = value
		}
	}
	e.Delta = own
	add := func(id store.RuntimeID, e Event) error {
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("eventlog: event %q: %w", e.ID, err)
		}
		b.Then = append(b.Then, batch.PutSnapshot{RuntimeID: id, Snapshot: append(line, '\n'), Format: store.FormatLines, Append: true})
		return nil
	}
	err = add(n.runtime(), e)
	if len(app) > 0 {
		err = errors.Join(err, add(n.app(), Event{ID: rand.Text(), At: e.At, Delta: app}))
	}
	if len(user) > 0 {
		err = errors.Join(err, add(n.user(), Event{ID: rand.Text(), At: e.At, Delta: user}))
	}
	return b, err
}

// events returns so many at most of those that follow so many bytes of a runtime's log.
func events(of store.RuntimeID, log store.Snapshot, after, most int) (all []Event, err error) {
	text := log.Reader()
	_, _ = io.CopyN(io.Discard, text, int64(after)) // there may be fewer by now, and nothing follows
	for d := json.NewDecoder(text); len(all) < most && d.More(); {
		var e Event
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("eventlog: runtime %q has another conversation: %w", of.Short(), err)
		}
		all = append(all, e)
	}
	return all, nil
}

func (s *Session) change(delta State) {
	if s.State == nil { // the handle was made by hand
		s.State = State{}
	}
	for key, value := range delta {
		if len(value) == 0 || string(value) == "null" {
			delete(s.State, key)
		} else {
			s.State[key] = bytes.Clone(value)
		}
	}
}

// keepTemporary takes over what is not stored.
func (s *Session) keepTemporary(delta State) {
	temporary := maps.Clone(delta)
	maps.DeleteFunc(temporary, func(key string, _ json.RawMessage) bool { return !strings.HasPrefix(key, TempPrefix) })
	s.change(temporary)
}
