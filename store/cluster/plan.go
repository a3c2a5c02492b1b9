package cluster

// A turn is what a member does to the document in one write.
type turn struct {
	self   entry
	dead   []string     // ids of members that are thought dead
	giveUp map[int]bool // partitions whose loops are closed
	busy   map[int]bool // partitions of which there is a loop here, which must end before they are claimed anew
	leave  bool         // the member takes itself out, and does nothing else
}

// take returns the document as it is after the turn. No claim of another member
// changes, but that of a dead one, and then all of it goes with that.
func (t turn) take(d document) document {
	d = d.clone()
	if t.leave {
		if i := d.index(t.self.ID); i >= 0 {
			d.remove(i)
		}
		return d
	}
	for _, id := range t.dead {
		d.remove(d.index(id))
	}
	i := d.index(t.self.ID)
	if i < 0 {
		i = len(d.Members)
		d.Members = append(d.Members, t.self)
	}
	d.Members[i] = t.self
	for p := range t.giveUp {
		if d.Owners[p] == i {
			d.Owners[p] = nobody
		}
	}
	t.claim(&d, i)
	return d
}

// claim takes what is free, up to the member's share.
func (t turn) claim(d *document, i int) {
	room := d.share(t.self.ID, true) - len(d.claims(t.self.ID))
	for p, owner := range d.Owners {
		if room > 0 && owner == nobody && !t.busy[p] && !t.giveUp[p] {
			d.Owners[p] = i
			room--
		}
	}
}

// share returns how many partitions a member should have: as many as the others,
// or one more. Those that have the most already have the one more, so that as few
// as possible move. Of equals that is the one who claims, which is first then, and
// of those who give up the same ones whoever looks.
func (d document) share(id string, claims bool) int {
	n, self := len(d.Members), d.index(id)
	counts := make([]int, n)
	for _, owner := range d.Owners {
		if owner != nobody {
			counts[owner]++
		}
	}
	before := 0
	for i, count := range counts {
		if count > counts[self] || count == counts[self] && i < self && !claims {
			before++
		}
	}
	share := len(d.Owners) / n
	if before < len(d.Owners)%n {
		share++
	}
	return share
}
