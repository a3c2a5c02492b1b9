// Package engines checks that a store is linearizable while one loop replaces another, on a
// directory and on replicated streams. It is a module of its own, so that neither the checker
// nor an engine depends on the other.
package engines
