package lincheck

import (
	"slices"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
)

// A held input is one with its version. In a world of a single runtime that is guessed, as
// the runtime's is: then it is the lower bound that the change got which it is of. No other
// change has the same bound, so what shows one version shows all of that change.
type held struct {
	input
	version uint64
	guessed bool
}

// list returns the inputs without their versions.
func (s *model) list() []input {
	all := make([]input, len(s.inputs))
	for i, in := range s.inputs {
		all[i] = in.input
	}
	return all
}

// A moment is that of an operation: what it gives to all that it changes.
type moment struct {
	version uint64
	guessed bool
	rules   rules
}

// next returns the moment of the next operation.
func (w *world) next() moment {
	return moment{max(w.revision, w.leap) + 1, !w.exact, w.rules}
}

// learn gives all of a runtime that has a guessed version the version itself, if that can be.
func (w *world) learn(id store.RuntimeID, guess, version uint64) {
	s := w.at(id)
	if s == nothing || version < guess || guess != s.version && !s.guessed && version >= s.version {
		return
	}
	learned := *s
	learned.inputs = slices.Clone(s.inputs)
	some := s.guessed && s.version == guess
	if some {
		learned.version, learned.guessed = version, false
	}
	for i, in := range s.inputs {
		if in.guessed && in.version == guess {
			learned.inputs[i].version, learned.inputs[i].guessed = version, false
			some = true
		}
	}
	if some {
		w.put(id, &learned)
		w.revision = max(w.revision, version)
	}
}

// learnInput does so for the version of an input.
func (w *world) learnInput(id store.RuntimeID, input store.InputID, version uint64) {
	s := w.at(id)
	if at := s.find(input); at >= 0 && s.inputs[at].guessed {
		w.learn(id, s.inputs[at].version, version)
	}
}

// learnHeld does so for a condition that held.
func (w *world) learnHeld(c condition) {
	switch is := c.Condition.(type) {
	case batch.VersionIs:
		w.learn(c.runtime, w.at(c.runtime).version, is.Version)
	case batch.InputVersionIs:
		w.learnInput(c.runtime, is.InputID, is.Version)
	}
}

// learnShown does so for all versions that an answer to a load shows.
func (w *world) learnShown(c *call, got *answer) {
	if got.fence > 0 && len(got.inputs) == 1 {
		w.learnInput(c.runtime, got.inputs[0].id, got.fence)
	}
	if got.view == nil {
		return
	}
	w.learn(c.runtime, w.at(c.runtime).version, got.view.version)
	for _, in := range got.view.inputs {
		w.learnInput(c.runtime, in.id, in.version)
	}
}

// An import gives all inputs one version, and the next revision comes after it. It is at
// least leastLeap beyond the revision, and not known until an answer shows it, or one of
// those after it: until then it is leapt.
const (
	leapt     = 1 << 62
	leastLeap = 1 << 32
)

// leaping returns what is imported as a store takes it.
func (w *world) leaping() *world {
	next := *w
	next.before, next.leap, next.runtimes = w.revision, leapt, make(map[store.RuntimeID]*model, len(w.runtimes))
	for id, s := range w.runtimes {
		imported := *s
		imported.inputs = slices.Clone(s.inputs)
		for i := range imported.inputs {
			imported.inputs[i].version = leapt
		}
		next.runtimes[id] = &imported
	}
	return &next
}

// landed returns the model's answer and the world after it with the versions that an import
// gave, if the store's answer shows one of them that can be.
func (w *world) landed(want, got *answer) (answer, *world) {
	if w.leap < leapt {
		return *want, w
	}
	wants, gots := want.versions(), got.versions()
	if len(wants) != len(gots) {
		return *want, w
	}
	for i, at := range wants {
		if at < leapt {
			continue
		}
		leap := gots[i] - (at - leapt)
		if leap < w.before+leastLeap || leap >= leapt {
			return *want, w
		}
		return want.landing(leap), w.landing(leap)
	}
	return *want, w
}

// versions returns all that is a version in an answer.
func (a *answer) versions() []uint64 {
	all := []uint64{a.version, a.revision, a.fence}
	for _, s := range a.list {
		all = append(all, s.version)
	}
	if a.view != nil {
		all = append(all, a.view.version)
		for _, in := range a.view.inputs {
			all = append(all, in.version)
		}
	}
	return all
}

func land(version *uint64, leap uint64) {
	if *version >= leapt {
		*version = *version - leapt + leap
	}
}

func (a answer) landing(leap uint64) answer {
	land(&a.version, leap)
	land(&a.revision, leap)
	land(&a.fence, leap)
	a.list = slices.Clone(a.list)
	for i := range a.list {
		land(&a.list[i].version, leap)
	}
	if a.view != nil {
		a.view = a.view.landing(leap)
	}
	return a
}

func (s *model) landing(leap uint64) *model {
	if s == nothing {
		return s
	}
	next := *s
	land(&next.version, leap)
	next.inputs = slices.Clone(s.inputs)
	for i := range next.inputs {
		land(&next.inputs[i].version, leap)
	}
	return &next
}

func (w *world) landing(leap uint64) *world {
	next := *w
	land(&next.revision, leap)
	land(&next.leap, leap)
	next.runtimes = make(map[store.RuntimeID]*model, len(w.runtimes))
	for id, s := range w.runtimes {
		next.runtimes[id] = s.landing(leap)
	}
	return &next
}
