package cluster

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
)

// documentVersion is that of what is described here.
const documentVersion = 1

// nobody is the owner of a partition that is free.
const nobody = -1

// A document is what the members see of each other: JSON, of which no member
// changes any but its own part, what is free, and what the dead have.
type document struct {
	Version int     `json:"version"`
	Cluster string  `json:"cluster"`
	Members []entry `json:"members"`
	Owners  []int   `json:"owners"` // of each partition: an index of Members, or nobody
}

// An entry is a member in the document.
type entry struct {
	// ID is random, and new with every Join.
	ID string `json:"id"`
	Member
	Beat uint64 `json:"beat"` // grows with every beat
}

// newDocument is that of a cluster without members.
func newDocument(cluster string, partitions int) document {
	return document{Version: documentVersion, Cluster: cluster, Members: []entry{}, Owners: slices.Repeat([]int{nobody}, partitions)}
}

// read reads what a directory holds. It is refused with a *DocumentError.
func (d document) read(text []byte, revision uint64) (document, error) {
	if revision == 0 {
		return d, nil
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return document{}, &DocumentError{Reason: "it is not JSON as it is written here"}
	}
	if head.Version > documentVersion {
		return document{}, &DocumentError{Version: head.Version, Reason: fmt.Sprintf("it is of version %d, the newest known here is %d", head.Version, documentVersion)}
	}
	var found document
	if err := json.Unmarshal(text, &found, json.RejectUnknownMembers(true)); err != nil {
		return document{}, &DocumentError{Reason: "its members are not those of version 1"}
	}
	return found, found.check(d.Cluster, len(d.Owners))
}

func (d document) check(cluster string, partitions int) error {
	wrong := func(format string, args ...any) error { return &DocumentError{Reason: fmt.Sprintf(format, args...)} }
	switch {
	case d.Version != documentVersion:
		return wrong("its version is %d", d.Version)
	case d.Cluster != cluster:
		return wrong("it is of another cluster")
	case len(d.Owners) != partitions:
		return wrong("it has %d partitions, there are %d", len(d.Owners), partitions)
	}
	for i, m := range d.Members {
		if m.ID == "" || d.index(m.ID) != i {
			return wrong("member %d has no id of its own", i)
		}
	}
	for p, owner := range d.Owners {
		if owner < nobody || owner >= len(d.Members) {
			return wrong("partition %d is a member's that is not there", p)
		}
	}
	return nil
}

// text is what a directory holds.
func (d document) text() []byte {
	text, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("cluster: writing a document: %v", err)) // Options.check lets nothing through that JSON has no spelling for
	}
	return text
}

func (d document) clone() document {
	d.Members, d.Owners = slices.Clone(d.Members), slices.Clone(d.Owners)
	return d
}

// index returns where a member is, or -1.
func (d document) index(id string) int {
	return slices.IndexFunc(d.Members, func(m entry) bool { return m.ID == id })
}

// claims returns the partitions of a member, in their order.
func (d document) claims(id string) (partitions []int) {
	if i := d.index(id); i >= 0 {
		for p, owner := range d.Owners {
			if owner == i {
				partitions = append(partitions, p)
			}
		}
	}
	return partitions
}

// owner returns who has a partition, if anybody.
func (d document) owner(partition int) (entry, bool) {
	if i := d.Owners[partition]; i != nobody {
		return d.Members[i], true
	}
	return entry{}, false
}

// remove takes a member out, and frees what it had.
func (d *document) remove(i int) {
	d.Members = slices.Delete(d.Members, i, i+1)
	for p, owner := range d.Owners {
		switch {
		case owner == i:
			d.Owners[p] = nobody
		case owner > i:
			d.Owners[p]--
		}
	}
}
