package cluster

// assigned is the document in which everybody has what Assign says. A member is
// known by its name there.
func assigned(d document, self entry, assign func(int) Member) (document, entry) {
	self.ID = self.Name
	d.Members = append(d.Members, self)
	for p := range d.Owners {
		m := assign(p)
		if m == (Member{}) {
			continue
		}
		i := d.index(m.Name)
		if i < 0 {
			i = len(d.Members)
			d.Members = append(d.Members, entry{ID: m.Name, Member: m})
		}
		d.Owners[p] = i
	}
	return d, self
}
