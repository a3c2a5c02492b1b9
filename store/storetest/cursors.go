package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// Cursors stand between the runtimes of one batch, too.
func cursorsGoOn(tr *trial) {
	start := tr.cursor()
	for range 3 {
		tr.write(setting("a", store.RuntimeIdle), setting("b", store.RuntimeIdle), setting("c", store.RuntimeIdle), setting("d", store.RuntimeIdle))
		tr.write(deleting("b"), setting("e", store.RuntimeIdle))
		tr.setRuntime("c", store.RuntimeIdle)
		for _, from := range []state.ChangeCursor{"", start} {
			all := tr.changes(from)
			for i, c := range all {
				rest := tr.changes(c.Cursor)
				if from == "" { // deletions from before may come then, or not
					rest = slices.DeleteFunc(rest, func(c state.Change) bool { return c.What == state.RuntimeDeleted })
				}
				require.Equal(tr, namesOf(all[i+1:]), namesOf(rest), "after %s of %s", c.RuntimeID, namesOf(all))
			}
		}
	}
	all := tr.changes(start)
	tr.setRuntime("a", store.RuntimeRunning)
	tr.write(deleting("e"))
	assert.Equal(tr, "a (e)", namesOf(tr.changes(all[len(all)-1].Cursor)))
	assert.Empty(tr, tr.changes(tr.cursor()))
}

// A store may not know as many changes exactly.
func farBehindMissesNothing(tr *trial) {
	start := tr.cursor()
	for round := range 4 {
		var writes []batch.Write
		for n := range 700 {
			writes = append(writes, setting(store.RuntimeID(fmt.Sprint(350*round+n)), store.RuntimeIdle))
		}
		tr.write(writes...)
		tr.write(deleting(store.RuntimeID(fmt.Sprint(350 * round))))
	}
	all := tr.changes(start)
	seen := map[store.RuntimeID]bool{}
	for _, c := range all {
		require.NotContains(tr, seen, c.RuntimeID, "once")
		seen[c.RuntimeID] = c.What == state.RuntimeDeleted
	}
	for n := range 3*350 + 700 {
		deleted, ok := seen[store.RuntimeID(fmt.Sprint(n))]
		require.True(tr, ok, "runtime %d", n)
		require.Equal(tr, n%350 == 0 && n <= 3*350, deleted, "runtime %d", n)
	}
	for i := 0; i < len(all); i += 397 {
		require.Equal(tr, namesOf(all[i+1:]), namesOf(tr.changes(all[i].Cursor)), "after change %d", i)
	}
}

// expired checks whether a cursor has expired.
func (tr *trial) expired(want bool, c state.ChangeCursor, when string) {
	tr.Helper()
	err := tr.follow(tr.patient(), c, func(state.Change) bool { return true })
	if want {
		tr.refused("Changes after a cursor from "+when, err, store.ErrCursorExpired)
		return
	}
	require.NoError(tr, err, "Changes after a cursor from %s", when)
}

func otherCursorsAreRefused(tr *trial) {
	tr.fill("a")
	other := tr.cursor()
	for range 2 {
		tr.open()
		tr.expired(true, other, "another store, before anybody asked for one of this")
		tr.fill("a")
		own := tr.cursor()
		tr.expired(true, other, "another store")
		for _, bad := range []state.ChangeCursor{"x", " ", "=", own + "!", own + " ", own + own, own[:4], state.ChangeCursor(strings.Repeat("A", 100))} {
			err := tr.follow(tr.patient(), bad, func(state.Change) bool { return true })
			tr.refused("Changes after "+string(bad), err, store.ErrInvalidValue)
			_, ok := errors.AsType[*store.ValueError](err)
			require.True(tr, ok, "the error must wrap a *store.ValueError, and is %v", err)
		}
		require.Empty(tr, tr.changes(own))
		other = own
	}
	if has[archiver](tr) {
		file := tr.export()
		tr.open()
		empty := tr.cursor()
		tr.importAll(file)
		tr.expired(true, other, "a store that was imported")
		require.Equal(tr, "a", namesOf(slices.DeleteFunc(tr.changes(empty), func(c state.Change) bool { return c.RuntimeID != "a" })))
	}
}

func oldCursorsExpire(tr *trial) {
	const n = 5
	for _, most := range []int{-1, 1, 3} {
		tr.openWith(loopstore.Options{Deletions: most})
		var many []batch.Write
		for i := range 700 {
			many = append(many, setting(store.RuntimeID(fmt.Sprint(i)), store.RuntimeIdle))
		}
		tr.write(many...)
		cursors := []state.ChangeCursor{tr.cursor()}
		for i := range n {
			tr.write(deleting(store.RuntimeID(fmt.Sprint(i))))
			cursors = append(cursors, tr.cursor())
		}
		for _, c := range cursors[:n] {
			tr.expired(false, c, "a moment ago")
		}
		for range 4 { // what is recent is known however few deletions are remembered
			tr.write(many[n:]...)
		}
		if most == 3 && tr.factory.Reopen != nil {
			tr.reopen()
		}
		for before, c := range cursors {
			tr.expired(n-before > max(most, 0), c, fmt.Sprintf("before %d deletions, of which %d are remembered", n-before, most))
		}
		tr.expired(false, "", "before everything")
	}
}

func cursorsGoOnAgain(tr *trial) {
	tr.fill("a")
	tr.fill("b")
	tr.setRuntime("c", store.RuntimeIdle)
	start := tr.cursor()
	tr.write(setting("d", store.RuntimeIdle), setting("e", store.RuntimeIdle), setting("f", store.RuntimeIdle))
	tr.setRuntime("a", store.RuntimeRunning)
	tr.write(deleting("b"))
	all := tr.changes(start)
	require.Equal(tr, "d e f a (b)", namesOf(all))
	for range 2 {
		tr.reopen()
		again := tr.changes(start)
		require.Equal(tr, namesOf(all), namesOf(again), "after it was reopened")
		for i, c := range all {
			assert.Equal(tr, c.Version, again[i].Version)
			assert.Equal(tr, c.What, c.What&again[i].What, "what has changed of %q, where more may be said", c.RuntimeID)
			require.Equal(tr, namesOf(all[i+1:]), namesOf(tr.changes(c.Cursor)), "after %q", c.RuntimeID)
			require.Equal(tr, namesOf(all[i+1:]), namesOf(tr.changes(again[i].Cursor)), "after %q", c.RuntimeID)
		}
	}
	now := tr.cursor()
	tr.write(deleting("c"), setting("b", store.RuntimeIdle))
	tr.reopen()
	tr.setRuntime("a", store.RuntimeIdle)
	all = tr.changes(now)
	require.Equal(tr, "(c) b a", namesOf(all))
	assert.True(tr, all[1].What.Has(state.RuntimeMade), "it was made again")
	require.Equal(tr, "d e f (c) b a", namesOf(tr.changes(start)))
}

// followers has callers follow until end makes their feeds end, with want.
func (tr *trial) followers(ctx context.Context, end func() error, want error) error {
	return together(callers, func(caller int) error {
		if caller == 0 {
			for range 30 { // others begin to wait
				runtime.Gosched()
			}
			return end()
		}
		return mistaken(tr.follow(ctx, "", func(state.Change) bool {
			for range caller {
				runtime.Gosched()
			}
			return false
		}), want)
	})
}

func feedsEndWithTheirContext(tr *trial) {
	tr.fill("a")
	for range repeats(20) {
		ctx, cancel := context.WithCancel(tr.Context())
		defer cancel()
		require.NoError(tr, tr.followers(ctx, func() error { cancel(); return nil }, context.Canceled))
	}
	for _, e := range tr.ended() {
		for _, after := range []state.ChangeCursor{"", tr.cursor(), "x"} {
			err := tr.follow(e.ctx, after, func(state.Change) bool { return false })
			tr.refused("Changes", err, e.err)
		}
		_, err := tr.store.(state.Follower).ChangesCursor(e.ctx)
		tr.refused("ChangesCursor", err, e.err)
	}
	assert.Equal(tr, "a", namesOf(tr.changes("")), "another feed goes on")
}

func feedsEndAtClose(tr *trial) {
	for range repeats(20) {
		tr.open()
		tr.fill("a")
		require.NoError(tr, tr.followers(tr.Context(), tr.closers[len(tr.closers)-1], store.ErrClosed))
		err := tr.follow(tr.Context(), "", func(state.Change) bool { return false })
		tr.refused("Changes after Close", err, store.ErrClosed)
		_, err = tr.store.(state.Follower).ChangesCursor(tr.Context())
		tr.refused("ChangesCursor after Close", err, store.ErrClosed)
	}
}

func feedsLeaveNothing(tr *trial) {
	before := goleak.IgnoreCurrent()
	tr.open()
	for range 5 {
		ctx, cancel := context.WithCancel(tr.Context())
		defer cancel()
		tr.fill("a")
		require.NoError(tr, tr.followers(ctx, func() error { cancel(); return nil }, context.Canceled))
	}
	if has[io.Closer](tr) { // until then a store may keep goroutines of its own
		tr.close()
		if err := findLeaks(before); err != nil {
			tr.Errorf("the feeds have ended, and left something behind: %v", err)
		}
	}
}
