package state

import (
	"sync/atomic"

	"github.com/loopstore/loopstore/store"
)

// Snapshots show other goroutines the sessions' snapshots that a State holds. They
// are hints: two runtimes may share a slot, and what stands there may be stale,
// another runtime's, or missing. So whoever uses one compares its bytes. The zero
// value is empty and ready to use.
type Snapshots struct {
	slots [1 << 13]atomic.Pointer[store.Snapshot]
}

// Standing returns the snapshot that a runtime probably holds, or nil.
func (t *Snapshots) Standing(id store.RuntimeID) *store.Snapshot { return t.slot(id).Load() }

func (t *Snapshots) slot(id store.RuntimeID) *atomic.Pointer[store.Snapshot] {
	return &t.slots[hash(id)%uint32(len(t.slots))]
}

// replace takes notice that one snapshot of a runtime comes in the place of another.
// Either may be nil.
func (t *Snapshots) replace(id store.RuntimeID, old, now *store.Snapshot) {
	switch {
	case t == nil:
	case now != nil:
		t.slot(id).Store(now)
	case old != nil:
		t.slot(id).CompareAndSwap(old, nil)
	}
}

// Standing returns the snapshot that a runtime holds, or nil.
func (s *State) Standing(id store.RuntimeID) *store.Snapshot { return s.Snapshot(id) }

// hash is the FNV-1a hash of an id's end.
func hash(id store.RuntimeID) uint32 {
	sum := uint32(2166136261)
	for i := max(0, len(id)-64); i < len(id); i++ {
		sum = (sum ^ uint32(id[i])) * 16777619
	}
	return sum
}
