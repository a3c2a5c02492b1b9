package lincheck

import (
	"fmt"
	"slices"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A version is one of a runtime's session, as the model holds it.
type version struct {
	number  uint64
	session *session
	by      boundary // that it was committed at
}

// A boundary names a receipt. The zero value names none.
type boundary struct {
	run      store.RunID
	sequence uint64
	named    bool
}

func boundaryOf(r receipt) boundary { return boundary{r.run, r.sequence, true} }

func (v version) equal(w version) bool {
	return v.number == w.number && v.by == w.by && v.session.equal(w.session)
}

// session returns the last version of the session, nil if there is none.
func (s *model) session() *session {
	if len(s.versions) == 0 {
		return nil
	}
	return s.versions[len(s.versions)-1].session
}

// sessionAt returns a version of the session, nil if it is not there.
func (s *model) sessionAt(number uint64) *session {
	for _, v := range s.versions {
		if v.number == number {
			return v.session
		}
	}
	return nil
}

// put makes a session the next version, and lets go of the one before it if a store is
// to keep none. Others are let go when all of a batch is done: see settle.
func (s *model) put(next *session, by boundary, keep int) {
	v := version{number: 1, session: next, by: by}
	if n := len(s.versions); n > 0 {
		v.number = s.versions[n-1].number + 1
	}
	if keep == 0 {
		s.versions = []version{v}
	} else {
		s.versions = append(slices.Clip(s.versions), v)
	}
}

// retain lets go of the versions and keys that are more than a store keeps.
func (s *model) retain(as rules) {
	s.versions, s.used = last(s.versions, max(as.versions, 1)), last(s.used, as.keys)
}

// stored returns the session that a call stores, nil if it stores none, or with what
// the store must refuse the call.
func (s *model) stored(c *call) (stored *session, refusal error) {
	if args, ok := c.args.(batch.RestoreSession); ok {
		if stored = s.sessionAt(args.Number); stored == nil {
			return nil, store.ErrNoVersion
		}
		return stored, nil
	}
	if !c.appends {
		return c.session, nil
	}
	before := s.session()
	if before == nil {
		before = &session{format: c.session.format}
	}
	if before.format != c.session.format {
		return nil, store.ErrInvalidValue
	}
	return before.with(c.session), nil
}

// fork makes a runtime whose session is a version of another's.
func (w *world) fork(c *call) answer {
	if w.dead(c) {
		return answer{refusal: store.ErrDeleted}
	}
	if s := w.at(c.to); s != nothing {
		return answer{refusal: store.ErrConflict, condition: -1, version: s.version}
	}
	from := w.at(c.runtime).sessionAt(c.number)
	if from == nil {
		return answer{refusal: store.ErrNoVersion}
	}
	before, now := w.clone(), w.next()
	made := &model{origin: state.Origin{RuntimeID: c.runtime, Number: c.number}, version: now.version, guessed: now.guessed}
	made.put(from, boundary{}, w.rules.versions)
	w.put(c.to, made)
	w.settle(before, 0)
	return answer{}
}

// forkIDs is how many runtimes there are that mostly forks make.
const forkIDs = 3

// runtime returns a runtime. Once in so many times it is one of those that forks make, if
// there are any.
func (g *generator) runtime(fork int) store.RuntimeID {
	if g.forks && g.seldom("a fork", fork) {
		return g.ofFork()
	}
	return runtimeID(g.pick("runtime", g.runtimes))
}

func (g *generator) ofFork() store.RuntimeID {
	return runtimeID(g.runtimes + g.pick("fork", forkIDs))
}

// numbered has a call name a version of a session: one of the first, or one that is near
// the last one that its caller knows of.
func (g *generator) numbered(c *call) {
	c.number = uint64(g.pick("number", 4))
	if g.pick("recalled", 4) > 0 {
		c.near = []int{3, 2, 1, 4, 5, 6}[g.pick("near", 6)]
	}
}

func (g *generator) fork(c *call) {
	g.numbered(c)
	if c.to = g.ofFork(); g.seldom("to another", 6) {
		c.to = runtimeID(g.pick("runtime", g.runtimes))
	}
}

func (g *generator) restore(w *call) {
	g.numbered(w)
	w.args = batch.RestoreSession{RuntimeID: w.runtime, Number: w.number}
}

// recallNumber fills in a number that is near the last one of which the caller knows.
func (m memory) recallNumber(c *call) {
	if c.near == 0 {
		return
	}
	c.number = max(max(m[c.runtime].number, 1)+3, uint64(c.near)) - uint64(c.near)
	if _, ok := c.args.(batch.RestoreSession); ok {
		c.args = batch.RestoreSession{RuntimeID: c.runtime, Number: c.number}
	}
}

// learnNumber notes what a call has shown of a session's versions.
func (m memory) learnNumber(c *call, found bool) {
	id, known := c.runtime, m[c.runtime]
	_, restored := c.args.(batch.RestoreSession)
	switch {
	case c.kind == ops.KindFork:
		id, known = c.to, facts{number: 1}
	case c.kind == ops.KindLoadSessionAt && found:
		known.number = max(known.number, c.number)
	case restored || c.session != nil:
		known.number++
	default:
		return
	}
	m[id] = known
}

// past counts a call that was applied, if it grows a session or goes back to a version.
func (s *Stats) past(c *call) {
	_, restored := c.args.(batch.RestoreSession)
	switch {
	case c.appends:
		s.Appends++
	case restored:
		s.Restores++
	case c.kind == ops.KindFork:
		s.Forks++
	}
	if _, revived := c.args.(batch.ReviveRuntime); revived {
		s.Revivals++
	}
}

// stored returns how many versions each session may have had.
func stored(callers []*caller) map[store.RuntimeID]uint64 {
	n := make(map[store.RuntimeID]uint64)
	for _, c := range callers {
		for _, t := range c.program[:c.due] {
			if e := t.call.export; e != nil {
				for id, s := range e.world.runtimes {
					if last := len(s.versions); last > 0 {
						n[id] += s.versions[last-1].number
					}
				}
				continue
			}
			writes := []*call{t.call}
			if t.call.batch != nil {
				writes = t.call.batch.writes
			}
			for _, w := range writes {
				if _, restored := w.args.(batch.RestoreSession); restored || w.session != nil {
					n[w.runtime]++
				} else if w.kind == ops.KindFork {
					n[w.to]++
				}
			}
		}
	}
	return n
}

// versionsOf returns what a view shows of a session. Where its methods contradict each
// other, a version has no session, or there is one version more.
func versionsOf(v *state.View) (all []version) {
	for one := range v.Sessions() {
		at, ok := v.SessionAt(one.Number)
		shown := version{number: at.Number, session: new(sessionOf(at.Snapshot))}
		if !ok {
			shown.session = nil
		}
		if one.Committed {
			shown.by = boundary{one.RunID, one.Sequence, true}
			if last, ok := v.BoundaryVersion(one.RunID, one.Sequence); !ok || last < one.Number {
				shown.session = nil
			}
		}
		all = append(all, shown)
	}
	last, ok := v.Snapshot()
	if n := len(all); ok && (n == 0 || !all[n-1].session.equal(new(sessionOf(last)))) {
		all = append(all, version{session: new(sessionOf(last))})
	}
	return all
}

func (v version) String() string {
	by := ""
	if v.by.named {
		by = fmt.Sprintf(" by %s/%d", short(v.by.run), v.by.sequence)
	}
	return fmt.Sprintf("%d: %v%s", v.number, v.session, by)
}
