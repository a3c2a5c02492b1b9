package cluster

import "slices"

// A turn is what a member does to the document in one write.
type turn struct {
	self   entry
	dead   []string     // ids of members that are taken for dead
	giveUp map[int]bool // claims whose loops are closed
	busy   map[int]bool // partitions with a loop here, which must end before they are claimed again
	last   bool         // the member is about to leave, and claims nothing
	leave  bool         // the member takes itself out, and does nothing else
	heirs  []string     // ids of the members that get its claims when it leaves
}

// take returns the document after the turn. The claims of other members stay,
// but those of the dead: they go all at once.
func (t turn) take(d document) document {
	d.Members, d.Holders = slices.Clone(d.Members), slices.Clone(d.Holders)
	if t.leave {
		if i := d.index(t.self.ID); i >= 0 {
			d.bequeath(i, t.heirs)
			d.remove(i)
		}
		return d
	}
	for _, id := range t.dead {
		d.remove(d.index(id))
	}
	i := d.add(t.self)
	d.Members[i] = t.self
	for p := range t.giveUp {
		if d.Holders[p] == i {
			d.Holders[p] = nobody
		}
	}
	if t.last {
		return d
	}
	room := d.share(t.self.ID, true) - len(d.claims(t.self.ID))
	for p, holder := range d.Holders {
		if room > 0 && holder == nobody && !t.busy[p] && !t.giveUp[p] {
			d.Holders[p] = i
			room--
		}
	}
	return d
}

// bequeath gives the claims of a member to those with the ids, each to the one that
// has the fewest.
func (d *document) bequeath(from int, heirs []string) {
	counts := map[int]int{}
	for _, id := range heirs {
		if i := d.index(id); i >= 0 && i != from {
			counts[i] = len(d.claims(id))
		}
	}
	for p, holder := range d.Holders {
		if holder != from || len(counts) == 0 {
			continue
		}
		heir := nobody
		for i, n := range counts {
			if heir == nobody || n < counts[heir] || n == counts[heir] && i < heir {
				heir = i
			}
		}
		d.Holders[p] = heir
		counts[heir]++
	}
}

// share returns how many partitions a member should hold: as many as the others,
// or one more. Those that hold the most get the one more, so that as few partitions
// as possible move. Among equals a member that claims comes first; for one that
// gives up the order is that of the document, the same at every member.
func (d document) share(id string, claims bool) int {
	n, self := len(d.Members), d.index(id)
	counts := make([]int, n)
	for _, holder := range d.Holders {
		if holder != nobody {
			counts[holder]++
		}
	}
	before := 0
	for i, count := range counts {
		if count > counts[self] || count == counts[self] && i < self && !claims {
			before++
		}
	}
	share := len(d.Holders) / n
	if before < len(d.Holders)%n {
		share++
	}
	return share
}
