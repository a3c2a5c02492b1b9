package cluster

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
)

// documentVersion is the newest version of the document that is known here.
const documentVersion = 1

// nobody is the holder of a partition that is free.
const nobody = -1

// A document is what the members see of each other. A member changes only its own
// part, what is free, and what the dead have.
type document struct {
	Version int     `json:"version"`
	Cluster string  `json:"cluster"`
	Members []entry `json:"members"`
	Holders []int   `json:"owners"` // of each partition: an index of Members, or nobody
}

// An entry is a member in the document.
type entry struct {
	ID string `json:"id"` // random, and new with every Join
	Member
	Beat uint64 `json:"beat"` // grows with every beat
}

// newDocument returns the document of a cluster without members.
func newDocument(cluster string, partitions int) document {
	return document{Version: documentVersion, Cluster: cluster, Members: []entry{}, Holders: slices.Repeat([]int{nobody}, partitions)}
}

// assigned returns the document in which the partitions are assigned for ever, and
// the entry of self. The name of a member is its id there.
func assigned(opts *Options) (document, entry) {
	self := entry{ID: opts.Self.Name, Member: opts.Self}
	d := newDocument(opts.Cluster, opts.Partitions)
	d.Members = append(d.Members, self)
	for p := range d.Holders {
		if m := opts.Assign(p); m != (Member{}) {
			d.Holders[p] = d.add(entry{ID: m.Name, Member: m})
		}
	}
	return d, self
}

// read reads the text of a directory at a revision. d is the document without
// members. The error is a *DocumentError.
func (d document) read(text []byte, revision uint64) (document, error) {
	if revision == 0 {
		return d, nil
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return document{}, &DocumentError{Reason: "it is not JSON, or has no version"}
	}
	if head.Version > documentVersion {
		return document{}, &DocumentError{Version: head.Version, Reason: fmt.Sprintf("it is of version %d, the newest known here is %d", head.Version, documentVersion)}
	}
	var found document
	if err := json.Unmarshal(text, &found, json.RejectUnknownMembers(true)); err != nil {
		return document{}, &DocumentError{Reason: "its members are not those of version 1"}
	}
	return found, found.check(d.Cluster, len(d.Holders))
}

func (d document) check(cluster string, partitions int) error {
	wrong := func(format string, args ...any) error { return &DocumentError{Reason: fmt.Sprintf(format, args...)} }
	switch {
	case d.Version != documentVersion:
		return wrong("its version is %d", d.Version)
	case d.Cluster != cluster:
		return wrong("it is of another cluster")
	case len(d.Holders) != partitions:
		return wrong("it has %d partitions, there are %d", len(d.Holders), partitions)
	}
	for i, m := range d.Members {
		if m.ID == "" || d.index(m.ID) != i {
			return wrong("member %d has no id of its own", i)
		}
	}
	for p, holder := range d.Holders {
		if holder < nobody || holder >= len(d.Members) {
			return wrong("the holder of partition %d is not among the members", p)
		}
	}
	return nil
}

// text returns what a directory stores.
func (d document) text() []byte {
	text, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("cluster: writing a document: %v", err)) // Options.check refuses what JSON cannot spell
	}
	return text
}

// fits returns an error if a member is new, and makes the document so large that a
// directory might soon not take it: then nobody could beat.
func (d document) fits(size int, before document, id string) error {
	if most := MaxDocument / 3 * 2; size > most && d.index(id) >= 0 && before.index(id) < 0 {
		return &DocumentError{Reason: fmt.Sprintf("with this member it would be of %d bytes, and members join up to %d", size, most)}
	}
	return nil
}

// index returns where a member is, or -1.
func (d document) index(id string) int {
	return slices.IndexFunc(d.Members, func(m entry) bool { return m.ID == id })
}

// add returns where a member is. It appends one that is new.
func (d *document) add(m entry) int {
	i := d.index(m.ID)
	if i < 0 {
		i = len(d.Members)
		d.Members = append(d.Members, m)
	}
	return i
}

// claims returns the partitions that a member has claimed, in their order.
func (d document) claims(id string) (partitions []int) {
	for p := range d.Holders {
		if m, ok := d.holder(p); ok && m.ID == id {
			partitions = append(partitions, p)
		}
	}
	return partitions
}

// holder returns the member that has claimed a partition, if one has.
func (d document) holder(partition int) (m entry, ok bool) {
	if i := d.Holders[partition]; i != nobody {
		return d.Members[i], true
	}
	return entry{}, false
}

// remove removes a member, and frees what it has claimed.
func (d *document) remove(i int) {
	d.Members = slices.Delete(d.Members, i, i+1)
	for p, holder := range d.Holders {
		switch {
		case holder == i:
			d.Holders[p] = nobody
		case holder > i:
			d.Holders[p]--
		}
	}
}
