package session

import "slices"

// A builder lists the parts of a text, in their order.
type builder struct {
	open     [][]*Part       // of each floor, the list that is not full
	standing map[*Part]*Part // lists that there are, by their first parts
}

// begin lists all parts of a text but the last, which it returns, nil if there is
// none.
func (b *builder) begin(root *Part) (last *Part) {
	for last = root; last != nil && last.parts != nil; last = last.parts[len(last.parts)-1] {
		b.open = append(b.open, slices.Clone(last.parts[:len(last.parts)-1]))
	}
	slices.Reverse(b.open)
	return last
}

// add adds a part to the list of a floor. A full list is added to the next floor's.
func (b *builder) add(floor int, p *Part) {
	if floor == len(b.open) {
		b.open = append(b.open, make([]*Part, 0, MaxParts))
	}
	list := append(b.open[floor], p)
	b.open[floor] = list
	ends := p.mark<<(cutBits+floor*listBits)>>(64-listBits) == 0
	if n := len(list); n == MaxParts || n >= minParts && ends {
		b.close(floor)
	}
}

func (b *builder) close(floor int) {
	list := b.open[floor]
	whole := b.standing[list[0]]
	if whole == nil || !slices.Equal(whole.parts, list) {
		whole = ListOf(slices.Clone(list))
	}
	b.open[floor] = list[:0]
	b.add(floor+1, whole)
}

// text ends all lists.
func (b *builder) text() Text {
	for floor := 0; floor < len(b.open); floor++ {
		switch n := len(b.open[floor]); {
		case n == 1 && floor == len(b.open)-1:
			return Text{b.open[floor][0]}
		case n > 0:
			b.close(floor)
		}
	}
	return Text{}
}
