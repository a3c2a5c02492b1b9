package crash

import (
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
)

// States calls yield with states in which a power failure may leave the disk now: those
// that hold all or nothing of what is pending, each that differs from one of them in one
// file or directory, and as many random ones as many says. A file, too, holds of what is
// pending all, nothing, just one change, all but one, those up to one, or random ones,
// with the last or random ones torn, and has one or the other size.
func (d *Disk) States(many int, r *rand.Rand, yield func(State)) {
	contents, names := map[*file][][]byte{}, map[*dir][]map[string]int{}
	inUse := map[int]bool{}
	var dirs []*dir
	for _, p := range slices.Sorted(maps.Keys(d.dirs)) {
		of := d.dirs[p]
		dirs = append(dirs, of)
		names[of] = of.variants(many, r)
		for _, at := range of.durable {
			inUse[at] = true
		}
		for _, c := range of.pending {
			inUse[c.file] = true
		}
	}
	for at, f := range d.files {
		contents[f] = [][]byte{f.durable}
		if inUse[at] {
			contents[f] = f.variants(many, r)
		}
	}
	// The first variant is nothing that is pending, the last one all of it.
	choose := func(i func(n int) int, one any, variant int) {
		files, of := map[*file][]byte{}, map[*dir]map[string]int{}
		for _, f := range d.files {
			files[f] = contents[f][i(len(contents[f]))]
			if one == f {
				files[f] = contents[f][variant]
			}
		}
		for _, each := range dirs {
			of[each] = names[each][i(len(names[each]))]
			if one == each {
				of[each] = names[each][variant]
			}
		}
		yield(d.state(func(f *file) []byte { return files[f] }, func(each *dir) map[string]int { return of[each] }))
	}
	none, all := func(int) int { return 0 }, func(n int) int { return n - 1 }
	choose(none, nil, 0)
	choose(all, nil, 0)
	for _, f := range d.files {
		for v := range contents[f][1:] {
			choose(none, f, v+1)
			choose(all, f, v)
		}
	}
	for _, of := range dirs {
		for v := range names[of][1:] {
			choose(none, of, v+1)
			choose(all, of, v)
		}
	}
	for range many {
		choose(r.IntN, nil, 0)
	}
}

// subsets returns subsets of n in the order of the whole, beginning with nothing and
// ending with all. There are all of them, if that is few.
func subsets(n, many int, r *rand.Rand) (out [][]int) {
	var whole []int
	for i := range n {
		whole = append(whole, i)
	}
	out = append(out, nil)
	if n <= 2 {
		for set := 1; set < 1<<n-1; set++ {
			out = append(out, slices.DeleteFunc(slices.Clone(whole), func(i int) bool { return set&(1<<i) == 0 }))
		}
	} else {
		for i := range n {
			out = append(out, whole[i:i+1], whole[:i], slices.Concat(whole[:i], whole[i+1:]))
		}
		for range many {
			p := r.Float64()
			out = append(out, slices.DeleteFunc(slices.Clone(whole), func(int) bool { return r.Float64() < p }))
		}
	}
	if n > 0 {
		out = append(out, whole)
	}
	return out
}

// variants returns which names a directory may have.
func (of *dir) variants(many int, r *rand.Rand) (out []map[string]int) {
	for _, set := range subsets(len(of.pending), many, r) {
		var changes []naming
		for _, i := range set {
			changes = append(changes, of.pending[i])
		}
		out = append(out, named(of.durable, changes))
	}
	return out
}

// variants returns what a file may hold.
func (f *file) variants(many int, r *rand.Rand) (out [][]byte) {
	if len(f.pending) == 0 {
		return [][]byte{f.durable}
	}
	full := applied(f.durable, f.pending)
	add := func(changes []change) {
		content := applied(f.durable, changes)
		out = append(out, content)
		switch n := len(content); {
		case n < len(full): // the size has arrived before the rest
			out = append(out, append(slices.Clip(content), make([]byte, len(full)-n)...))
		case n > len(f.durable): // the rest has arrived before the size
			out = append(out, content[:len(f.durable)])
		}
	}
	for _, set := range subsets(len(f.pending), many, r) {
		var changes []change
		for _, i := range set {
			changes = append(changes, f.pending[i])
		}
		add(changes)
	}
	last := len(f.pending) - 1
	for _, sector := range []int64{512, 4096} {
		parts := f.pending[last].torn(sector)
		if len(parts) < 2 {
			continue
		}
		before := slices.Clip(f.pending[:last])
		add(append(before, parts[:1]...))
		add(append(before, parts[1:]...))
		add(append(before, parts[:len(parts)-1]...))
		add(append(before, parts[len(parts)-1:]...))
		for range many {
			var changes []change
			keep, tear := r.Float64(), r.Float64()
			for i, c := range f.pending {
				parts := []change{c}
				if i == last || r.Float64() < tear {
					parts = c.torn(sector)
				}
				changes = append(changes, slices.DeleteFunc(parts, func(change) bool { return r.Float64() > keep })...)
			}
			add(changes)
		}
	}
	return append(out, full)
}

// torn returns a write in the parts that each sector of the disk takes at once.
func (c change) torn(sector int64) (parts []change) {
	if c.resize {
		return []change{c}
	}
	for at := int64(0); at < int64(len(c.data)); {
		end := min(int64(len(c.data)), at+sector-(c.offset+at)%sector)
		parts = append(parts, change{event: c.event, offset: c.offset + at, data: c.data[at:end]})
		at = end
	}
	return parts
}

var seed = maphash.MakeSeed()

// Sum tells states apart, in one process.
func (s State) Sum() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, p := range slices.Sorted(maps.Keys(s)) {
		n := -1
		if s[p] != nil {
			n = len(s[p])
		}
		maphash.WriteComparable(&h, p)
		maphash.WriteComparable(&h, n)
		_, _ = h.Write(s[p])
	}
	return h.Sum64()
}
