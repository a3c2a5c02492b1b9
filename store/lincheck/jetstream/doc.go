// Package jetstream checks that a store on replicated streams is linearizable while one
// loop replaces another. It is a module of its own, so that neither the checker nor the
// engine depends on the other.
package jetstream
