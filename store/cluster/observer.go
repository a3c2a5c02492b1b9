package cluster

import "time"

// An observer judges which members live by what it sees itself: a member whose beat
// stays the same for too long is dead. Only the rate of its own monotonic clock
// matters.
type observer struct {
	patience time.Duration // how long a beat may stay the same
	gap      time.Duration // how long there may be between two looks
	last     time.Time     // of the looks
	seen     map[string]sighting
}

// A sighting is a beat, and when it was first seen.
type sighting struct {
	beat uint64
	at   time.Time
}

// look sees the document as it was read at a moment. After a gap it begins anew
// with all members: whatever kept this one from looking may have kept the others
// from beating, as when nobody can reach the directory.
func (o *observer) look(d document, now time.Time) {
	blind := now.Sub(o.last) > o.gap
	seen := make(map[string]sighting, len(d.Members))
	for _, m := range d.Members {
		s, ok := o.seen[m.ID]
		if !ok || blind || s.beat != m.Beat {
			s = sighting{m.Beat, now}
		}
		seen[m.ID] = s
	}
	o.seen, o.last = seen, now
}

// dead returns the ids of the members that were dead at the last look, without
// self's.
func (o *observer) dead(self string) (ids []string) {
	for id, s := range o.seen {
		if id != self && o.last.Sub(s.at) >= o.patience {
			ids = append(ids, id)
		}
	}
	return ids
}

// nextDeath returns when the first of the members but self that were not dead at the
// last look will be if it stays silent.
func (o *observer) nextDeath(self string) (at time.Time, ok bool) {
	for id, s := range o.seen {
		if death := s.at.Add(o.patience); id != self && death.After(o.last) && (!ok || death.Before(at)) {
			at, ok = death, true
		}
	}
	return at, ok
}

// silence returns for how long a member had been silent at the last look.
func (o *observer) silence(id string) time.Duration {
	if s, ok := o.seen[id]; ok {
		return o.last.Sub(s.at)
	}
	return 0
}

// well returns the ids of the members but self that have beaten lately.
func (o *observer) well(self string) (ids []string) {
	for id, s := range o.seen {
		if id != self && o.last.Sub(s.at) <= o.gap/2 {
			ids = append(ids, id)
		}
	}
	return ids
}
