package state

import (
	"sync/atomic"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// Documents show other goroutines the session documents that a State holds. They
// are hints: two runtimes may share a slot, and what stands there may be stale,
// another runtime's, or missing. So whoever uses one compares its bytes. The zero
// value is empty and ready to use.
type Documents struct {
	slots [1 << 13]atomic.Pointer[session.Document]
}

// Standing returns the document that a runtime probably holds, or nil.
func (d *Documents) Standing(id store.RuntimeID) *session.Document { return d.slot(id).Load() }

func (d *Documents) slot(id store.RuntimeID) *atomic.Pointer[session.Document] {
	return &d.slots[hash(id)%uint32(len(d.slots))]
}

// replace takes notice that one snapshot of a runtime comes in the place of
// another. Either may be nil.
func (d *Documents) replace(id store.RuntimeID, old, now *store.Snapshot) {
	if d == nil {
		return
	}
	switch before, after := documentOf(old), documentOf(now); {
	case after != nil:
		d.slot(id).Store(after)
	case before != nil:
		d.slot(id).CompareAndSwap(before, nil)
	}
}

func documentOf(snapshot *store.Snapshot) *session.Document {
	if snapshot == nil {
		return nil
	}
	return snapshot.Document()
}

// Standing returns the session document that a runtime holds, or nil.
func (s *State) Standing(id store.RuntimeID) *session.Document { return documentOf(s.Snapshot(id)) }

// hash is the FNV-1a hash of an id's end.
func hash(id store.RuntimeID) uint32 {
	sum := uint32(2166136261)
	for i := max(0, len(id)-64); i < len(id); i++ {
		sum = (sum ^ uint32(id[i])) * 16777619
	}
	return sum
}
