package inspect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

const (
	listPace = 500 * time.Millisecond // least time between two states of the list
	maxViews = 500                    // that are asked for at once; of more changes all is listed again
	maxMade  = 64                     // answers that are kept for others who ask for the same
	maxAsked = 1_000                  // bytes of what these ask for: each link of an answer repeats it
	freshFor = 10 * time.Second       // how long they are, since some say how long ago something was
)

// An entry is a runtime in the list.
type entry struct {
	state.RuntimeSummary

	open  []state.OpenInputs
	since store.Time // the longest of them; zero if there is none, or that is not known
}

func newEntry(s state.RuntimeSummary, open []state.OpenInputs) *entry {
	e := &entry{RuntimeSummary: s, open: open}
	for _, o := range open {
		if sooner(o.Since, e.since) {
			e.since = o.Since
		}
	}
	return e
}

// entryOf makes one of a summary. If that does not have the inputs, it is not known since
// when they are open.
func entryOf(s state.RuntimeSummary) *entry {
	all, ok := s.OpenInputs()
	if !ok {
		counts := s.CountInputStates()
		for _, current := range lifecycle {
			if n := counts[current]; n > 0 && !current.IsTerminal() {
				all = append(all, state.OpenInputs{State: current, Count: n})
			}
		}
	}
	return newEntry(s, all)
}

// A hub holds the list of all runtimes for those who follow it live. It follows the changes
// of the store as long as there are any, so however many they are, a change costs the owner
// one view.
type hub struct {
	source Source
	views  *views

	mu      sync.Mutex
	readers int
	now     *following // nil if there are none
}

// A following is one life of a hub: from its first reader to its last.
type following struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	entries map[store.RuntimeID]*entry // which do not change
	mark    string                     // of this state; empty before the first
	moved   chan struct{}              // closed with the next one
	err     error                      // why there is none any more
	made    map[string]*answer         // of this state
}

// join begins to follow the list, until leave is called.
func (h *hub) join(ctx context.Context, follower state.Follower) (f *following, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers++; h.now == nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the first reader may go before others
		h.now = &following{cancel: cancel, done: make(chan struct{}), moved: make(chan struct{})}
		go h.follow(ctx, h.now, follower)
	}
	f = h.now
	return f, func() {
		h.mu.Lock()
		last := h.readers == 1
		if h.readers--; last {
			h.now = nil
		}
		h.mu.Unlock()
		if last {
			f.cancel()
			<-f.done
		}
	}
}

// current returns what is followed now, if that is known already.
func (h *hub) current() *following {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == nil {
		return nil
	}
	h.now.mu.Lock()
	defer h.now.mu.Unlock()
	if h.now.mark == "" || h.now.err != nil {
		return nil
	}
	return h.now
}

// follow follows the store until ctx ends. What may pass is tried again.
func (h *hub) follow(ctx context.Context, f *following, follower state.Follower) {
	defer close(f.done)
	for ctx.Err() == nil {
		err := h.run(ctx, f, follower)
		if _, final := errors.AsType[*problem](err); final || errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrFailed) {
			f.publish(nil, err)
			return
		}
		_ = wait(ctx, listPace)
	}
}

func (h *hub) run(ctx context.Context, f *following, follower state.Follower) error {
	cursor, err := follower.ChangesCursor(ctx)
	if err != nil {
		return err
	}
	entries, err := h.list(ctx)
	for err == nil {
		f.publish(maps.Clone(entries), nil)
		if err = wait(ctx, listPace); err != nil {
			break
		}
		var changed []store.RuntimeID
		if changed, err = gather(ctx, follower, &cursor); err != nil {
			break
		}
		if len(changed) > maxViews {
			entries, err = h.list(ctx)
			continue
		}
		for _, id := range changed {
			var view *state.View
			if view, err = h.views.view(ctx, id); err != nil {
				break
			}
			if !view.Exists() {
				delete(entries, id)
				continue
			}
			entries[id] = newEntry(view.Summary(), view.OpenInputs())
		}
	}
	return err
}

// list returns all that there is.
func (h *hub) list(ctx context.Context) (map[store.RuntimeID]*entry, error) {
	all := make(map[store.RuntimeID]*entry)
	for summary, err := range h.source.Runtimes(ctx, state.Listing{ByActivity: true}) {
		if err != nil {
			return nil, err
		}
		if len(all) == maxSorted {
			return nil, &problem{http.StatusNotImplemented, "Not live", "There are too many runtimes to follow."}
		}
		all[summary.RuntimeID] = entryOf(summary)
	}
	return all, nil
}

// gather waits for the first change after a cursor, and returns it with those that are
// there too.
func gather(ctx context.Context, follower state.Follower, cursor *state.ChangeCursor) ([]store.RuntimeID, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(map[store.RuntimeID]struct{})
	for change, err := range follower.Changes(ctx, *cursor) {
		if err != nil {
			if len(changed) == 0 {
				return nil, err
			}
			break // it was stopped
		}
		changed[change.RuntimeID], *cursor = struct{}{}, change.Cursor
		stop()
	}
	return slices.Collect(maps.Keys(changed)), nil
}

// publish shows the next state, or why there is none.
func (f *following) publish(entries map[store.RuntimeID]*entry, err error) {
	highest := uint64(0)
	for _, e := range entries {
		highest = max(highest, e.Version)
	}
	mark := markOf(len(entries), highest)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil { // what was published last stays, for those who are about to read it
		f.err = err
	} else if mark == f.mark {
		return
	} else {
		f.entries, f.mark, f.made = entries, mark, make(map[string]*answer)
	}
	close(f.moved)
	f.moved = make(chan struct{})
}

// markOf returns what two states of a store have in common only if they are the same: a
// write gives a runtime the highest version of all, and to delete one makes them fewer.
func markOf(count int, highest uint64) string { return fmt.Sprintf("%d.%d", count, highest) }

// next waits for a state with another mark, and returns that.
func (f *following) next(ctx context.Context, after string) (string, error) {
	for {
		f.mu.Lock()
		mark, moved, err := f.mark, f.moved, f.err
		f.mu.Unlock()
		if err != nil || mark != "" && mark != after {
			return mark, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// An answer is what several readers may have.
type answer struct {
	once sync.Once
	kind string
	text []byte
	err  error
}

// answer returns what make makes of the entries, once for all who ask for the same, unless
// they ask at length.
func (f *following) answer(key string, make func(entries []*entry, mark string, a *answer)) *answer {
	key = strconv.FormatInt(time.Now().UnixNano()/int64(freshFor), 10) + " " + key
	f.mu.Lock()
	a := f.made[key]
	if a == nil {
		if len(f.made) >= maxMade {
			clear(f.made)
		}
		if a = new(answer); len(key) <= maxAsked {
			f.made[key] = a
		}
	}
	entries, mark := f.entries, f.mark
	f.mu.Unlock()
	a.once.Do(func() { make(slices.Collect(maps.Values(entries)), mark, a) })
	return a
}

// changes says whenever the list of runtimes has changed.
func (h *handler) changes(w http.ResponseWriter, r *http.Request) error {
	follower, live := h.source.(state.Follower)
	if !live {
		return notLive
	}
	f, leave := h.hub.join(r.Context(), follower)
	defer leave()
	if _, err := f.next(r.Context(), ""); err != nil {
		return err
	}
	after := seen(r)
	return h.stream(w, r, func(ctx context.Context) (mark string, err error) {
		if mark, err = f.next(ctx, after); err == nil {
			after = mark
		}
		return mark, err
	})
}
