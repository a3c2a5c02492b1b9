// Package peers has stores to compare loopstore with: what one could use instead. Each is
// written as an expert in its library would write it. Each keeps every promise of
// store.RuntimeStore, so that all that are timed give the same answers: this package's
// tests run the conformance suite on each.
//
//   - loop: loopstore itself.
//   - seed: the design that loopstore comes from, one mutex around each whole operation.
//   - mutex: package store/locked, loopstore's state behind a lock that is held
//     only for the step that needs it.
//   - memdb: github.com/hashicorp/go-memdb v1.3.5, immutable radix trees.
//   - buntdb: github.com/tidwall/buntdb v1.3.0, a B-tree of texts.
//   - sqlite: modernc.org/sqlite v1.62.0, SQL in memory.
//   - actor: github.com/asynkron/protoactor-go at 3c0e61ca19c9, loopstore's design
//     with an actor library.
//
// All of them use package session for digests. Those that keep documents (loop, mutex,
// memdb, actor) read a session that has grown from where the last one ended. Those that
// keep bytes (seed, buntdb, sqlite) read it from its start. Loop, mutex and actor keep a
// session as a rope of parts, the others as one string: so these copy all of it when
// something is appended, and pay nothing for cutting it.
package peers

import (
	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/internal/bench/peers/actor"
	"github.com/loopstore/loopstore/internal/bench/peers/bunt"
	"github.com/loopstore/loopstore/internal/bench/peers/memdb"
	"github.com/loopstore/loopstore/internal/bench/peers/seed"
	"github.com/loopstore/loopstore/internal/bench/peers/sqlite"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/locked"
	"github.com/loopstore/loopstore/store/state"
)

// A Peer is a kind of store.
type Peer struct {
	Name  string
	About string // in one line
	// Open returns an empty store, which has a method Close() error.
	Open func() (store.RuntimeStore, error)
}

// All returns all peers, loopstore first.
func All() []Peer {
	return []Peer{
		{"loop", "loopstore: one goroutine owns the state", func() (store.RuntimeStore, error) {
			return loopstore.New(loopstore.Options{}), nil
		}},
		{"seed", "the seed's algorithm: one mutex around each whole operation", func() (store.RuntimeStore, error) {
			return seed.New(), nil
		}},
		{"mutex", "loopstore's state behind a sync.Mutex", func() (store.RuntimeStore, error) {
			return locked.New(new(state.State)), nil
		}},
		{"memdb", "hashicorp/go-memdb: immutable radix trees", of(memdb.Open)},
		{"buntdb", "tidwall/buntdb: JSON in a B-tree in memory", of(bunt.Open)},
		{"sqlite", "modernc.org/sqlite: SQL in memory", of(sqlite.Open)},
		{"actor", "asynkron/protoactor-go: an actor owns loopstore's state", func() (store.RuntimeStore, error) {
			return actor.Open(), nil
		}},
	}
}

// of makes a [Peer]'s Open of an Open that returns its own type.
func of[S store.RuntimeStore](open func() (S, error)) func() (store.RuntimeStore, error) {
	return func() (store.RuntimeStore, error) {
		s, err := open()
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}
