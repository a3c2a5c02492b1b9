package inspect

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// views has the latest view of each runtime that live pages follow. However many they are,
// the owner is asked once for each change.
type views struct {
	source state.Viewer

	mu       sync.Mutex
	followed map[store.RuntimeID]*followed
}

// A followed runtime has live pages.
type followed struct {
	source state.Viewer
	id     store.RuntimeID
	pages  int // guarded by views.mu
	asking chan struct{}
	last   atomic.Pointer[state.View]
}

// follow returns a runtime that is followed until leave is called.
func (v *views) follow(id store.RuntimeID) (f *followed, leave func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if f = v.followed[id]; f == nil {
		f = &followed{source: v.source, id: id, asking: make(chan struct{}, 1)}
		v.followed[id] = f
	}
	f.pages++
	return f, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if f.pages--; f.pages == 0 {
			delete(v.followed, id)
		}
	}
}

// view returns what a runtime holds, at one moment of the call.
func (v *views) view(ctx context.Context, id store.RuntimeID) (*state.View, error) {
	v.mu.Lock()
	f := v.followed[id]
	v.mu.Unlock()
	if f == nil {
		return v.source.View(ctx, id)
	}
	return f.view(ctx)
}

// view asks the store if the last view is over: one at a time, and the others have its
// answer.
func (f *followed) view(ctx context.Context) (*state.View, error) {
	if last := f.last.Load(); last != nil && last.Current() {
		return last, nil
	}
	select {
	case f.asking <- struct{}{}:
		defer func() { <-f.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if last := f.last.Load(); last != nil && last.Current() {
		return last, nil
	}
	view, err := f.source.View(ctx, f.id)
	if err == nil {
		f.last.Store(view)
	}
	return view, err
}
