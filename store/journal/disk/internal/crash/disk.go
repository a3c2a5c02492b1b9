// Package crash is for the tests of the engine. It records what a run changes on the
// disk, keeps a model of what of that is durable, and enumerates the states in which a
// power failure may leave the directory.
//
// The model promises as little as a file system may. What is written since the last sync
// of a file may be there or not, each write by itself, and a write may be torn between
// sectors. A file may have grown before what it grew for has arrived, and the other way
// round. Names that were changed since the last sync of their directory may be the old
// ones, each change by itself; only a rename is whole.
package crash

import (
	"maps"
	"path"
	"slices"

	"github.com/loopstore/loopstore/store/journal/disk/internal/files"
)

// A State is what stands on a disk: the content of each file, and nil for a directory, by
// its path below the root. Nobody changes a State, or what is in it.
type State map[string][]byte

// A Disk is a disk with what is durable and what is pending.
type Disk struct {
	files []*file
	dirs  map[string]*dir // by path; "." is the root
}

type file struct {
	durable []byte // replaced, never changed
	pending []change
}

// A change is a write, or a new size.
type change struct {
	event  int // that made it
	resize bool
	offset int64
	data   []byte
}

// A dir maps names to files, or to noFile for directories.
type dir struct {
	durable map[string]int
	pending []naming
}

const noFile = -1

// A naming gives a file a name, its only one, or takes that away.
type naming struct {
	event int
	file  int
	name  string
	gone  bool
}

// NewDisk returns a disk on which all of a state is durable.
func NewDisk(s State) *Disk {
	d := &Disk{dirs: map[string]*dir{".": {durable: map[string]int{}}}}
	for _, p := range slices.Sorted(maps.Keys(s)) { // a directory comes before what is in it
		at := noFile
		if s[p] == nil {
			d.dirs[p] = &dir{durable: map[string]int{}}
		} else {
			at = len(d.files)
			d.files = append(d.files, &file{durable: s[p]})
		}
		d.dirs[path.Dir(p)].durable[path.Base(p)] = at
	}
	return d
}

// Clone returns a disk that goes its own way. The events of another recording follow.
func (d *Disk) Clone() *Disk {
	c := &Disk{dirs: map[string]*dir{}}
	for _, f := range d.files {
		pending := slices.Clone(f.pending)
		for i := range pending {
			pending[i].event = earlier
		}
		c.files = append(c.files, &file{f.durable, pending})
	}
	for p, of := range d.dirs {
		pending := slices.Clone(of.pending)
		for i := range pending {
			pending[i].event = earlier
		}
		c.dirs[p] = &dir{maps.Clone(of.durable), pending}
	}
	return c
}

const earlier = -1 // of what an earlier recording left pending

// Step makes the change of an event. A sync of the kind ignored does nothing.
func (d *Disk) Step(e Event, ignored string) {
	switch e.Op {
	case files.Created:
		if e.file == noFile {
			d.dirs[e.Path] = &dir{durable: map[string]int{}}
		}
		for e.file >= len(d.files) {
			d.files = append(d.files, &file{durable: []byte{}})
		}
		d.name(e, e.Path, false)
	case files.Renamed:
		d.name(e, e.To, false)
	case files.Removed:
		d.name(e, e.Path, true)
	case files.Written, files.Resized:
		f := d.files[e.file]
		f.pending = append(f.pending, change{e.number, e.Op == files.Resized, e.Offset, e.Data})
	case files.Synced:
		if e.Sync != ignored {
			d.sync(e)
		}
	}
}

func (d *Disk) name(e Event, p string, gone bool) {
	of := d.dirs[path.Dir(p)]
	of.pending = append(of.pending, naming{e.number, e.file, path.Base(p), gone})
}

// sync makes durable what was there when the sync began.
func (d *Disk) sync(e Event) {
	if e.file != noFile {
		f := d.files[e.file]
		n := 0
		for n < len(f.pending) && f.pending[n].event < e.began {
			n++
		}
		f.durable, f.pending = applied(f.durable, f.pending[:n]), f.pending[n:]
		return
	}
	of := d.dirs[e.Path]
	n := 0
	for n < len(of.pending) && of.pending[n].event < e.began {
		n++
	}
	of.durable, of.pending = named(of.durable, of.pending[:n]), of.pending[n:]
}

// Settled is the disk when nothing more happens and power does not fail: nothing is
// pending any more.
func (d *Disk) Settled() State {
	return d.state(func(f *file) []byte { return applied(f.durable, f.pending) },
		func(of *dir) map[string]int { return named(of.durable, of.pending) })
}

// state returns the state in which each file and each directory is as chosen.
func (d *Disk) state(content func(*file) []byte, names func(*dir) map[string]int) State {
	s := State{}
	var add func(p string)
	add = func(p string) {
		for name, at := range names(d.dirs[p]) {
			p := path.Join(p, name)
			if at == noFile {
				s[p] = nil
				add(p)
				continue
			}
			s[p] = content(d.files[at])
		}
	}
	add(".")
	return s
}

// applied returns what a file holds after changes.
func applied(content []byte, changes []change) []byte {
	if len(changes) == 0 {
		return content
	}
	content = append([]byte{}, content...)
	for _, c := range changes {
		if end := c.offset + int64(len(c.data)); end > int64(len(content)) {
			content = append(content, make([]byte, end-int64(len(content)))...)
		} else if c.resize {
			content = content[:c.offset]
		}
		copy(content[c.offset:], c.data)
	}
	return content
}

// named returns the names in a directory after changes.
func named(names map[string]int, changes []naming) map[string]int {
	if len(changes) == 0 {
		return names
	}
	names = maps.Clone(names)
	for _, c := range changes {
		if c.gone {
			if names[c.name] == c.file {
				delete(names, c.name)
			}
			continue
		}
		if c.file != noFile {
			maps.DeleteFunc(names, func(_ string, at int) bool { return at == c.file })
		}
		names[c.name] = c.file
	}
	return names
}
