package lincheck

import (
	"context"
	"fmt"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A Look returns the view of one runtime, each time it is called.
type Look func(ctx context.Context) (*state.View, error)

// A way is how a caller gets a view.
type way int

const (
	byStore     way = iota // from the store's View
	bySharedOne            // from the reader that all callers share
	byOwnOne               // from the caller's own reader
)

// An access is how one caller reaches a store.
type access struct {
	store   store.RuntimeStore
	readers [byOwnOne + 1]map[store.RuntimeID]Look
	read    func() // is called when an import has read its file; may be nil
}

// readersOf opens a reader for each runtime.
func readersOf(s store.RuntimeStore, cfg *Config) map[store.RuntimeID]Look {
	if cfg.Reader == nil {
		return nil
	}
	all := make(map[store.RuntimeID]Look, cfg.Runtimes)
	for n := range cfg.Runtimes + forkIDs {
		all[runtimeID(n)] = cfg.Reader(s, runtimeID(n))
	}
	return all
}

func (a access) view(ctx context.Context, id store.RuntimeID, by way) (r reply, err error) {
	if by == byStore {
		r.view, err = a.store.(state.Viewer).View(ctx, id)
	} else {
		r.view, err = a.readers[by][id](ctx)
	}
	if err == nil && r.view == nil {
		err = fmt.Errorf("a nil view of %v, and no error", id)
	}
	return r, err
}

func (a access) commit(ctx context.Context, b *batched) (r reply, err error) {
	r.batch, err = a.store.(batch.Committer).Commit(ctx, b.forStore())
	return r, err
}

func (a access) claim(ctx context.Context, c store.Claim) (r reply, err error) {
	if r.claimed, err = a.store.(state.Claimer).ClaimNext(ctx, c); err == nil {
		r.found, r.inputs, r.fence = true, []store.InputState{r.claimed.State}, r.claimed.Version
	}
	return r, err
}

// abilities are what a store has besides the ten operations. Whether programs have forks,
// lists and claims depends on the kind of the history too.
type abilities struct {
	commits, views, reads, fences, files, history, forks, lists, deletes, imports, claims, follows bool
}

func abilitiesOf(s store.RuntimeStore, cfg *Config) (a abilities) {
	_, a.commits = s.(batch.Committer)
	_, a.views = s.(state.Viewer)
	a.reads = cfg.Reader != nil
	_, a.fences = s.(state.InputLoader)
	_, a.files = s.(sessionLoader)
	_, a.history = s.(state.Historian)
	_, a.lists = s.(lister)
	_, a.deletes = s.(deleter)
	_, a.imports = s.(porter)
	_, a.claims = s.(state.Claimer)
	a.claims = a.claims && !cfg.Queue.IsZero()
	_, a.follows = s.(state.Follower)
	a.follows = a.follows && a.views
	return a
}

// sessionLoader is a store with the Loop's LoadSession.
type sessionLoader interface {
	LoadSession(ctx context.Context, id store.SessionID) (store.Snapshot, bool, error)
}

// any reports whether the store has any of them.
func (a abilities) any() bool { return a != abilities{} }
