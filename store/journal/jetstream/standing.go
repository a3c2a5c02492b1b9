package jetstream

import (
	"crypto/sha256"
	"sync"

	"github.com/loopstore/loopstore/store/journal"
)

// A standing knows of each key that stands in which entry it does. So compacting knows
// what is waste, and needs nothing of the holder. It does not keep keys and values. It is
// safe for concurrent use.
type standing struct {
	mu     sync.Mutex
	places map[keyID]place
	size   int64 // bytes of the changes that put all of it
}

// A keyID is the first half of a key's SHA-256.
type keyID [16]byte

func idOf(key []byte) keyID {
	sum := sha256.Sum256(key)
	return keyID(sum[:16])
}

// A place is the sequence of an entry's last message, and the length of the change there.
// It is in three parts because a map would pad a longer one.
type place struct{ high, low, size uint32 }

func placeOf(sequence uint64, size int) place {
	return place{uint32(sequence >> 32), uint32(sequence), uint32(size)}
}

func (p place) sequence() uint64 { return uint64(p.high)<<32 | uint64(p.low) }

// apply adds the changes of an entry, one after another.
func (s *standing) apply(sequence uint64, changes []journal.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		id := idOf(c.Key)
		s.size -= int64(s.places[id].size)
		if c.Delete {
			delete(s.places, id)
			continue
		}
		if s.places == nil {
			s.places = map[keyID]place{}
		}
		at := placeOf(sequence, changeSize(c))
		s.places[id] = at
		s.size += int64(at.size)
	}
}

// bytes returns how many bytes of changes would put all that stands.
func (s *standing) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// in returns those changes that stand in the entry at a sequence.
func (s *standing) in(sequence uint64, changes []journal.Change) (left []journal.Change) {
	last := make(map[keyID]int, len(changes)) // of a key that is there twice the last one stands
	for i, c := range changes {
		last[idOf(c.Key)] = i
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range changes {
		id := idOf(c.Key)
		if at, ok := s.places[id]; ok && !c.Delete && last[id] == i && at.sequence() == sequence {
			left = append(left, c)
		}
	}
	return left
}

// holds reports whether a key stands in the entry at a sequence.
func (s *standing) holds(key []byte, sequence uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.places[idOf(key)]
	return ok && at.sequence() == sequence
}

// growth returns by how many bytes more stands after some changes.
func (s *standing) growth(changes []journal.Change) (bytes int64) {
	last := make(map[keyID]journal.Change, len(changes))
	for _, c := range changes {
		last[idOf(c.Key)] = c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range last {
		bytes -= int64(s.places[id].size)
		if !c.Delete {
			bytes += int64(changeSize(c))
		}
	}
	return bytes
}
