package eventlog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/adapt/eventlog"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/journal/journaltest"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var began = time.Unix(1_700_000_000, 0).UTC()

func value(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

func event(n int, delta eventlog.State) eventlog.Event {
	return eventlog.Event{ID: fmt.Sprint("event-", n), At: began.Add(time.Duration(n) * time.Second), Delta: delta, Body: value(map[string]any{"author": "user", "n": n})}
}

// each runs a test on a service in memory, and on one that is opened again before each step.
func each(t *testing.T, test func(t *testing.T, service func() *eventlog.Service)) {
	t.Run("in memory", func(t *testing.T) {
		s := eventlog.New(storetest.New(t))
		test(t, func() *eventlog.Service { return s })
	})
	t.Run("opened again", func(t *testing.T) {
		engine := journaltest.NewEngine()
		var l *loopstore.Loop
		test(t, func() *eventlog.Service {
			if l != nil {
				require.NoError(t, l.Close())
			}
			l = storetest.Open(t, engine, "p")
			return eventlog.New(l)
		})
	})
}

func ids(events []eventlog.Event) (ids []string) {
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestSessions(t *testing.T) {
	each(t, func(t *testing.T, service func() *eventlog.Service) {
		ctx := t.Context()
		name := eventlog.Name{App: "app", User: "user", ID: "1"}
		_, err := service().Get(ctx, name, eventlog.Filter{})
		require.ErrorIs(t, err, eventlog.ErrNotFound)
		made, err := service().Create(ctx, name, eventlog.State{"a": value(1), "temp:t": value("now")})
		require.NoError(t, err)
		assert.Equal(t, eventlog.State{"a": value(1), "temp:t": value("now")}, made.State)
		assert.Empty(t, made.Events)
		_, err = service().Create(ctx, name, nil)
		require.ErrorIs(t, err, eventlog.ErrExists)

		want := event(1, eventlog.State{"a": nil, "b": value([]int{1, 2}), "temp:t": value("later")})
		require.NoError(t, service().Append(ctx, made, want))
		assert.Equal(t, eventlog.State{"b": value([]int{1, 2}), "temp:t": value("later")}, made.State)
		partial := event(2, eventlog.State{"b": value("no"), "temp:p": value(true)})
		partial.Partial = true
		require.NoError(t, service().Append(ctx, made, partial))
		assert.Equal(t, []string{"event-1"}, ids(made.Events))

		got, err := service().Get(ctx, name, eventlog.Filter{})
		require.NoError(t, err)
		assert.Equal(t, eventlog.State{"b": value([]int{1, 2})}, got.State)
		require.Len(t, got.Events, 1)
		delete(want.Delta, "temp:t")
		want.Delta["a"] = value(nil)
		assert.Equal(t, want, got.Events[0], "as it was, but for what is temporary")
		assert.Equal(t, want.At, got.Updated)

		require.NoError(t, service().Delete(ctx, name))
		require.NoError(t, service().Delete(ctx, name))
		require.ErrorIs(t, service().Append(ctx, got, event(3, nil)), eventlog.ErrNotFound)
		_, err = service().Get(ctx, name, eventlog.Filter{})
		require.ErrorIs(t, err, eventlog.ErrNotFound)
	})
}

func TestFilters(t *testing.T) {
	s := eventlog.New(storetest.New(t))
	name := eventlog.Name{App: "app", User: "user", ID: "1"}
	session, err := s.Create(t.Context(), name, nil)
	require.NoError(t, err)
	for n := range 6 {
		require.NoError(t, s.Append(t.Context(), session, event(n, eventlog.State{"n": value(n)})))
	}
	for _, c := range []struct {
		filter eventlog.Filter
		want   []string
	}{
		{eventlog.Filter{}, []string{"event-0", "event-1", "event-2", "event-3", "event-4", "event-5"}},
		{eventlog.Filter{Last: 2}, []string{"event-4", "event-5"}},
		{eventlog.Filter{Last: 20}, []string{"event-0", "event-1", "event-2", "event-3", "event-4", "event-5"}},
		{eventlog.Filter{Since: began.Add(3 * time.Second)}, []string{"event-3", "event-4", "event-5"}},
		{eventlog.Filter{Last: 1, Since: began.Add(3 * time.Second)}, []string{"event-5"}},
		{eventlog.Filter{Since: began.Add(time.Hour)}, nil},
	} {
		got, err := s.Get(t.Context(), name, c.filter)
		require.NoError(t, err)
		assert.Equal(t, c.want, ids(got.Events), "%+v", c.filter)
		assert.Equal(t, eventlog.State{"n": value(5)}, got.State, "it is that of all events")
	}
}

// TestSharing shows each prefix to whom it belongs, and nothing of hostile names to others.
func TestSharing(t *testing.T) {
	each(t, func(t *testing.T, service func() *eventlog.Service) {
		ctx := t.Context()
		names := []eventlog.Name{
			{App: "a", User: "u", ID: "1"}, {App: "a", User: "u", ID: "2"}, {App: "a", User: "v", ID: "1"}, {App: "b", User: "u", ID: "1"},
			{App: "a/u", User: "", ID: "1"}, {App: "", User: "a/u", ID: "1"}, {App: "a", User: "u/1", ID: ""}, {App: "ä%2F", User: "\x00", ID: "..%"},
		}
		sessions := make([]*eventlog.Session, len(names))
		for i, n := range names {
			var err error
			sessions[i], err = service().Create(ctx, n, eventlog.State{"own": value(i)})
			require.NoError(t, err, n)
		}
		require.NoError(t, service().Append(ctx, sessions[0], event(1, eventlog.State{"app:x": value("app"), "user:x": value("user"), "x": value("own")})))
		for i, n := range names {
			got, err := service().Get(ctx, n, eventlog.Filter{})
			require.NoError(t, err)
			want := eventlog.State{"own": value(i)}
			if n.App == "a" {
				want["app:x"] = value("app")
				if n.User == "u" {
					want["user:x"] = value("user")
				}
			}
			if i == 0 {
				want["x"] = value("own")
			}
			assert.Equal(t, want, got.State, "%q", n)
		}
		for i, want := range [][]eventlog.Name{{names[0], names[1]}, {names[0], names[1]}, {names[2]}, {names[3]}, {names[4]}, {names[5]}, {names[6]}, {names[7]}} {
			got, err := service().List(ctx, names[i].App, names[i].User)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
		all, err := service().List(ctx, "a", "")
		require.NoError(t, err)
		assert.Equal(t, []eventlog.Name{names[0], names[1], names[2], names[6]}, all)
		require.NoError(t, service().Delete(ctx, names[0]))
		got, err := service().Get(ctx, names[1], eventlog.Filter{})
		require.NoError(t, err)
		assert.Equal(t, value("user"), got.State["user:x"], "what is shared stays")
	})
}

// TestStaleHandles has eight writers append through handles of their own: all is kept.
func TestStaleHandles(t *testing.T) {
	const writers, events = 8, 100
	s := eventlog.New(storetest.New(t))
	name := eventlog.Name{App: "app", User: "user", ID: "1"}
	_, err := s.Create(t.Context(), name, nil)
	require.NoError(t, err)
	var all sync.WaitGroup
	for w := range writers {
		session, err := s.Get(t.Context(), name, eventlog.Filter{})
		require.NoError(t, err)
		all.Go(func() {
			for n := range events {
				e := event(n, eventlog.State{fmt.Sprintf("app:%d/%d", w, n): value(n), fmt.Sprint(w): value(n)})
				e.ID = fmt.Sprint(w, "/", n)
				if !assert.NoError(t, s.Append(t.Context(), session, e)) {
					return
				}
			}
		})
	}
	all.Wait()
	got, err := s.Get(t.Context(), name, eventlog.Filter{})
	require.NoError(t, err)
	require.Len(t, got.Events, writers*events)
	assert.Len(t, got.State, writers*events+writers)
	next := map[byte]int{}
	for _, e := range got.Events {
		require.Equal(t, fmt.Sprint(string(e.ID[0]), "/", next[e.ID[0]]), e.ID, "each writer's are in its order")
		next[e.ID[0]]++
	}
}

func TestWhatIsNotJSON(t *testing.T) {
	l := storetest.New(t)
	s := eventlog.New(l)
	name := eventlog.Name{App: "app", User: "user", ID: "1"}
	session, err := s.Create(t.Context(), name, nil)
	require.NoError(t, err)
	before := l.Stats().Held
	require.ErrorContains(t, s.Append(t.Context(), session, event(1, eventlog.State{"a": json.RawMessage("{")})), "event-1")
	assert.Equal(t, before, l.Stats().Held, "nothing was stored")
}

// TestStoresThatFail passes on what was wrong.
func TestStoresThatFail(t *testing.T) {
	ctx := t.Context()
	l := storetest.New(t)
	s := eventlog.New(l)
	name := eventlog.Name{App: "app", User: "user", ID: "1"}
	session, err := s.Create(ctx, name, eventlog.State{"app:a": value(1)})
	require.NoError(t, err)
	_, err = s.Create(ctx, name, eventlog.State{"a": json.RawMessage("{")})
	require.ErrorContains(t, err, "eventlog")
	spoil := func(id store.RuntimeID) {
		_, err := l.Commit(ctx, batch.Batch{Then: []batch.Write{batch.PutSnapshot{RuntimeID: id, Snapshot: []byte("[]\n"), Format: store.FormatLines}}})
		require.NoError(t, err)
		_, err = s.Get(ctx, name, eventlog.Filter{})
		require.ErrorContains(t, err, "another conversation")
	}
	spoil("app/app")
	spoil("session/app/user/1")
	require.ErrorContains(t, s.Append(ctx, session, event(1, nil)), "another conversation")
	require.NoError(t, l.PersistRuntimeState(ctx, "session/app/user/%", store.RuntimeIdle))
	_, err = s.List(ctx, "app", "user")
	require.ErrorContains(t, err, "is no session")

	require.NoError(t, l.Close())
	_, err = s.Create(ctx, name, nil)
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = s.Get(ctx, name, eventlog.Filter{})
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = s.List(ctx, "app", "user")
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorIs(t, s.Append(ctx, session, event(1, nil)), store.ErrClosed)
	require.ErrorIs(t, s.Delete(ctx, name), store.ErrClosed)
}

// TestSessionsThatAreMadeAgain are others: a handle of the one before finds none of its own,
// also where deleted runtimes leave tombstones.
func TestSessionsThatAreMadeAgain(t *testing.T) {
	ctx := t.Context()
	s := eventlog.New(storetest.New(t, loopstore.Options{Tombstones: store.Keep{Last: 10}}))
	name := eventlog.Name{App: "app", User: "user", ID: "1"}
	old, err := s.Create(ctx, name, nil)
	require.NoError(t, err)
	require.NoError(t, s.Delete(ctx, name))
	again, err := s.Create(ctx, name, nil)
	require.NoError(t, err)
	require.ErrorIs(t, s.Append(ctx, old, event(1, eventlog.State{"app:x": value(1)})), eventlog.ErrNotFound)
	require.NoError(t, s.Append(ctx, again, event(2, nil)))
	assert.Equal(t, []string{"event-2"}, ids(again.Events))
	assert.Empty(t, again.State, "nothing was stored")

	named := &eventlog.Session{Name: name} // it was never loaded
	require.NoError(t, s.Append(ctx, named, event(3, eventlog.State{"temp:x": value(1)})))
	assert.Equal(t, []string{"event-2", "event-3"}, ids(named.Events))
	require.NoError(t, s.Delete(ctx, name))
	require.ErrorIs(t, s.Append(ctx, &eventlog.Session{Name: name}, event(4, nil)), eventlog.ErrNotFound)
}

// TestSharedStateThatIsRemoved is gone from stale handles too, and what follows comes to them.
func TestSharedStateThatIsRemoved(t *testing.T) {
	ctx := t.Context()
	l := storetest.New(t)
	s := eventlog.New(l)
	old, err := s.Create(ctx, eventlog.Name{App: "a", User: "u", ID: "1"}, eventlog.State{"app:x": value(1), "user:x": value(1), "x": value(1)})
	require.NoError(t, err)
	other, err := s.Create(ctx, eventlog.Name{App: "a", User: "u", ID: "2"}, nil)
	require.NoError(t, err)
	for _, id := range []store.RuntimeID{"app/a", "user/a/u"} {
		_, err := l.DeleteRuntime(ctx, id)
		require.NoError(t, err)
	}
	for _, text := range []string{"y", strings.Repeat("long", 100)} {
		require.NoError(t, s.Append(ctx, other, event(1, eventlog.State{"app:y": value(text)})))
		require.NoError(t, s.Append(ctx, old, event(2, nil)))
		assert.Equal(t, eventlog.State{"app:y": value(text), "x": value(1)}, old.State)
	}
}

// A hooked store does something after the next commit.
type hooked struct {
	*loopstore.Loop
	after func()
}

func (h *hooked) Commit(ctx context.Context, b batch.Batch) (batch.Result, error) {
	result, err := h.Loop.Commit(ctx, b)
	if after := h.after; after != nil {
		h.after = nil
		after()
	}
	return result, err
}

// TestNothingFailsAfterTheCommit is what it says: an error means that nothing was stored.
func TestNothingFailsAfterTheCommit(t *testing.T) {
	l := &hooked{Loop: storetest.New(t)}
	s := eventlog.New(l)
	name := eventlog.Name{App: "app", User: "user", ID: "1"}
	ctx, cancel := context.WithCancel(t.Context())
	l.after = cancel
	session, err := s.Create(ctx, name, eventlog.State{"a": value(1), "b": nil, "temp:t": value(2)})
	require.NoError(t, err)
	assert.Equal(t, eventlog.State{"a": value(1), "temp:t": value(2)}, session.State)
	ctx, cancel = context.WithCancel(t.Context())
	l.after = cancel
	require.NoError(t, s.Append(ctx, session, event(1, eventlog.State{"app:x": value(1)})))
	require.ErrorIs(t, s.Append(ctx, session, event(2, eventlog.State{"temp:t": value(3)})), context.Canceled)
	assert.Equal(t, value(2), session.State["temp:t"])
	require.NoError(t, s.Append(t.Context(), session, event(3, nil)))
	assert.Equal(t, []string{"event-1", "event-3"}, ids(session.Events))
	assert.Equal(t, eventlog.State{"a": value(1), "app:x": value(1), "temp:t": value(2)}, session.State)
	l.after = func() { require.NoError(t, s.Delete(t.Context(), name)) }
	require.NoError(t, s.Append(t.Context(), session, event(4, nil)))
}

// TestWhatJSONWouldChange is refused, or kept as what it is.
func TestWhatJSONWouldChange(t *testing.T) {
	ctx := t.Context()
	s := eventlog.New(storetest.New(t))
	name := eventlog.Name{App: "app", User: "user", ID: "1"}
	session, err := s.Create(ctx, name, nil)
	require.NoError(t, err)
	for _, wrong := range []eventlog.Event{
		{ID: "\xff"}, {Delta: eventlog.State{"\xff": value(1)}}, {Delta: eventlog.State{"app:\xff": value(1)}},
		{Body: json.RawMessage("\"\xff\"")}, {Delta: eventlog.State{"a": json.RawMessage("\"\xff\"")}},
	} {
		require.Error(t, s.Append(ctx, session, wrong), "%q", wrong)
	}
	assert.Empty(t, session.Events)
	_, err = s.Create(ctx, eventlog.Name{ID: "2"}, eventlog.State{"\xff": value(1)})
	require.ErrorIs(t, err, store.ErrInvalidValue)
	for _, at := range []time.Time{
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 5, time.FixedZone("", 5*3600+30)), time.Date(9999, 12, 31, 0, 0, 0, 0, time.FixedZone("", -3600)),
	} {
		require.NoError(t, s.Append(ctx, session, eventlog.Event{At: at}))
		got, err := s.Get(ctx, name, eventlog.Filter{})
		require.NoError(t, err)
		assert.True(t, at.Equal(got.Events[len(got.Events)-1].At), "%v", at)
		assert.Len(t, session.Events, len(got.Events))
	}
	last, err := s.Get(ctx, name, eventlog.Filter{Last: 1})
	require.NoError(t, err)
	require.NoError(t, s.Append(ctx, last, event(1, nil)))
	assert.Len(t, last.Events, 2, "what the filter has left out stays out")
}
