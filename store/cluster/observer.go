package cluster

import "time"

// An observer judges who lives by what it sees itself: a member whose beat has
// not changed for long is dead. Only the rate of its own clock matters, and of
// that only the monotonic reading.
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

// look sees a document that was read at a moment. After a gap everybody is seen
// anew: those who were not there for it to see may not have been there for them,
// either, as when nobody can reach the directory.
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

// dead returns the ids of those who are dead at the last look, but not self's.
func (o *observer) dead(self string) (ids []string) {
	for id, s := range o.seen {
		if id != self && o.last.Sub(s.at) >= o.patience {
			ids = append(ids, id)
		}
	}
	return ids
}
