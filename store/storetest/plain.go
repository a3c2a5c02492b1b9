package storetest

import (
	"maps"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A plain store keeps whole copies, and does one thing after the other.
type plain struct {
	keep     store.Keep
	runtimes map[store.RuntimeID]*plainRuntime
	filed    map[store.SessionID]plainFiled
}

type plainFiled struct {
	by store.RuntimeID
	content
}

type plainRuntime struct {
	versions  []versionOf
	origin    *state.Origin
	sequences uint64 // of run 1
}

func (p *plain) at(id store.RuntimeID) *plainRuntime {
	if rt := p.runtimes[id]; rt != nil {
		return rt
	}
	return new(plainRuntime)
}

// last returns the session, none if there is none.
func (rt *plainRuntime) last() (v versionOf) {
	if n := len(rt.versions); n > 0 {
		v = rt.versions[n-1]
	}
	return v
}

func (rt *plainRuntime) version(number uint64) (v versionOf, ok bool) {
	for _, v := range rt.versions {
		if v.number == number {
			return v, true
		}
	}
	return v, false
}

func (rt *plainRuntime) trim(last int) {
	if n := len(rt.versions); last > 0 && n > last {
		rt.versions = rt.versions[n-last:]
	}
}

// copied returns a copy that may change.
func (p *plain) copied() *plain {
	c := &plain{p.keep, make(map[store.RuntimeID]*plainRuntime), maps.Clone(p.filed)}
	for id, rt := range p.runtimes {
		one := *rt
		one.versions = append([]versionOf(nil), rt.versions...)
		c.runtimes[id] = &one
	}
	return c
}

func (p *plain) delete(id store.RuntimeID) {
	delete(p.runtimes, id)
	maps.DeleteFunc(p.filed, func(_ store.SessionID, f plainFiled) bool { return f.by == id })
}

// put makes a content the next version.
func (p *plain) put(id store.RuntimeID, c content, at *place) {
	rt := p.runtimes[id]
	if rt == nil {
		rt = new(plainRuntime)
		p.runtimes[id] = rt
	}
	rt.versions = append(rt.versions, versionOf{rt.last().number + 1, c, at})
	if p.keep == (store.Keep{}) {
		rt.trim(1)
	}
}

// end ends an operation.
func (p *plain) end() {
	for _, rt := range p.runtimes {
		rt.trim(p.keep.Last)
	}
}
