package eventlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strings"
	"time"

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
	Partial bool            `json:"-"` // it is not stored
	Delta   State           `json:"state_delta,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"` // whatever else it has; JSON
}

// A Session is a handle: a session as it was when it was loaded, or appended to. It is for
// one goroutine.
type Session struct {
	Name    Name
	Events  []Event
	State   State     // the session's own, and with their prefixes what it shares and what is temporary
	Updated time.Time // of the last event, or when it was made

	version uint64
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

// Create makes a session with a state. The error is ErrExists if there is one.
func (s *Service) Create(ctx context.Context, n Name, initial State) (*Session, error) {
	made := Event{At: time.Now(), Delta: initial}
	b, err := n.batch(made)
	if err != nil {
		return nil, err
	}
	b.If = []batch.Condition{batch.RuntimeAbsent{RuntimeID: n.runtime()}}
	if _, err := s.store.Commit(ctx, b); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return nil, ErrExists
		}
		return nil, err
	}
	session, err := s.Get(ctx, n, Filter{})
	if err == nil {
		session.keepTemporary(initial)
	}
	return session, err
}

// Get loads a session.
func (s *Service) Get(ctx context.Context, n Name, f Filter) (*Session, error) {
	view, err := s.store.View(ctx, n.runtime())
	if err != nil {
		return nil, err
	}
	if !view.Exists() {
		return nil, ErrNotFound
	}
	lines, err := events(view)
	if err != nil {
		return nil, err
	}
	session := &Session{Name: n, State: State{}, version: view.Version()}
	for _, of := range []struct {
		id     store.RuntimeID
		prefix string
	}{{n.app(), AppPrefix}, {n.user(), UserPrefix}} {
		shared, err := s.store.View(ctx, of.id)
		if err != nil {
			return nil, err
		}
		changes, err := events(shared)
		if err != nil {
			return nil, err
		}
		for _, c := range changes {
			session.change(c.Delta)
		}
	}
	for i, e := range lines {
		session.change(e.Delta)
		session.Updated = e.At
		if i > 0 && !e.At.Before(f.Since) { // the first one is how it was made
			session.Events = append(session.Events, e)
		}
	}
	if f.Last > 0 && len(session.Events) > f.Last {
		session.Events = session.Events[len(session.Events)-f.Last:]
	}
	return session, nil
}

// Append adds an event to a session, and to the handle. What others have appended since it was
// loaded comes to the handle too, in the order in which it was stored. A partial event changes
// the handle's temporary state only. The error is ErrNotFound if the session was deleted.
func (s *Service) Append(ctx context.Context, session *Session, e Event) error {
	session.keepTemporary(e.Delta)
	if e.Partial {
		return nil
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	n := session.Name
	b, err := n.batch(e)
	if err != nil {
		return err
	}
	b.If = []batch.Condition{batch.RuntimeExists{RuntimeID: n.runtime()}}
	if _, err := s.store.Commit(ctx, b); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return ErrNotFound
		}
		return err
	}
	now, err := s.Get(ctx, n, Filter{})
	if err != nil {
		return err
	}
	now.keepTemporary(session.State)
	*session = *now
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
	own, app, user := State{}, State{}, State{}
	for key, value := range e.Delta {
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
		err = errors.Join(err, add(n.app(), Event{At: e.At, Delta: app}))
	}
	if len(user) > 0 {
		err = errors.Join(err, add(n.user(), Event{At: e.At, Delta: user}))
	}
	return b, err
}

// events returns those of a runtime.
func events(view *state.View) (all []Event, err error) {
	snapshot, _ := view.Snapshot()
	for d := json.NewDecoder(bytes.NewReader(snapshot.Bytes())); d.More(); {
		var e Event
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("eventlog: runtime %q has another conversation: %w", view.RuntimeID().Short(), err)
		}
		all = append(all, e)
	}
	return all, nil
}

func (s *Session) change(delta State) {
	for key, value := range delta {
		if string(value) == "null" {
			delete(s.State, key)
		} else {
			s.State[key] = value
		}
	}
}

// keepTemporary takes over what is not stored.
func (s *Session) keepTemporary(delta State) {
	temporary := maps.Clone(delta)
	maps.DeleteFunc(temporary, func(key string, _ json.RawMessage) bool { return !strings.HasPrefix(key, TempPrefix) })
	s.change(temporary)
}
