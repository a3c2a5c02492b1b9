package lincheck

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/anishathalye/porcupine"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A model is what one runtime holds. It never changes: a write makes a new one, which
// shares the lists that it does not touch.
type model struct {
	status   string                       // empty if there is none
	versions []version                    // of the session, by ascending numbers; the last one is the session
	origin   state.Origin                 // zero if there is none
	inputs   []held                       // in the order in which they were first stored
	runs     []run                        // in the order of their first receipts
	latest   receipt                      // the one that was stored last
	filed    map[store.SessionID]*session // never changed in place
	version  uint64                       // of the last change
	used     []usedKey                    // in the order in which they lost their inputs; never changed in place
	floor    floor                        // that runs come after
	guessed  bool                         // version is only a lower bound
}

// nothing is the state of a runtime that does not exist.
var nothing = new(model)

// A run has the receipts of one run by ascending sequence, at least one.
type run struct {
	id       store.RunID
	receipts []receipt
}

// answer returns what the state answers to a call.
func (s *model) answer(c *call) answer {
	if c.flaw != nil {
		return answer{refusal: c.flaw}
	}
	stored, refusal := s.stored(c)
	if refusal != nil {
		return answer{refusal: refusal}
	}
	switch c.kind {
	case ops.KindCommitSessionBoundary:
		sequence, ok := s.nextSequence(c.receipt.run)
		if !ok {
			return answer{refusal: store.ErrSequenceExhausted}
		}
		minted := c.receipt
		minted.sequence, minted.digest, minted.messages = sequence, stored.digest, stored.messages
		return answer{receipt: minted, stored: stored}
	case ops.KindLoadInputStates:
		return answer{inputs: s.list()}
	case ops.KindLoadInputState:
		if at := s.find(c.input); at >= 0 {
			return answer{found: true, inputs: []input{s.inputs[at].input}}
		}
	case ops.KindLoadInput:
		if at := s.asked(c); at >= 0 {
			return answer{found: true, inputs: []input{s.inputs[at].input}, fence: s.inputs[at].version}
		}
	case ops.KindLoadBoundaryReceipt:
		if r, ok := s.receipt(c.receipt.run, c.receipt.sequence); ok {
			return answer{found: true, receipt: r}
		}
	case ops.KindLoadSessionSnapshot:
		if last := s.session(); last != nil {
			return answer{found: true, text: last.text}
		}
	case ops.KindLoadSession:
		if filed := s.filed[c.key]; filed != nil {
			return answer{found: true, session: *filed}
		}
	case ops.KindLoadSessionAt:
		if at := s.sessionAt(c.number); at != nil {
			return answer{found: true, session: *at}
		}
	case ops.KindLoadRuntimeState:
		return answer{found: s.status != "", text: s.status}
	case ops.KindLoadView:
		return answer{view: s}
	case ops.KindDeleteRuntime:
		return answer{list: []summary{s.summary()}}
	}
	return answer{stored: stored}
}

// after returns the state after a call that was answered with a, at a moment.
func (s *model) after(c *call, a *answer, at moment) *model {
	if c.args == nil { // a load
		return s
	}
	switch args := c.args.(type) {
	case batch.DeleteInputState:
		return s.without(args.InputID, at)
	}
	next := *s
	next.version, next.guessed = at.version, at.guessed
	if c.status != "" {
		next.status = c.status
	}
	if a.stored != nil {
		var by boundary
		switch c.kind {
		case ops.KindCommitSessionBoundary:
			by = boundaryOf(a.receipt)
		case ops.KindAtomicApply:
			by = boundaryOf(c.receipt)
		}
		next.put(a.stored, by, at.rules.versions)
		if c.key != (store.SessionID{}) {
			next.filed = make(map[store.SessionID]*session)
			maps.Copy(next.filed, s.filed)
			next.filed[c.key] = a.stored
		}
	}
	inputs := c.inputs
	switch c.kind {
	case ops.KindCommitSessionBoundary:
		next.runs, next.latest = withReceipt(s.runs, a.receipt), a.receipt
		inputs = stamped(inputs, a.receipt)
	case ops.KindAtomicApply:
		next.runs, next.latest = withReceipt(s.runs, c.receipt), c.receipt
	}
	next.putInputs(inputs, at)
	return &next
}

func (s *model) without(id store.InputID, now moment) *model {
	at := s.find(id)
	if at < 0 {
		return s
	}
	next := *s
	next.version, next.guessed = now.version, now.guessed
	next.inputs = slices.Delete(slices.Clone(s.inputs), at, at+1)
	next.keepKey(s.inputs[at].input, now.rules.keys)
	return &next
}

// stamped returns the inputs with the stamp of a boundary's receipt.
func stamped(inputs []input, by receipt) []input {
	inputs = slices.Clone(inputs)
	for i := range inputs {
		inputs[i].run = by.run.String()
		inputs[i].sequence = strconv.FormatUint(by.sequence, 10)
	}
	return inputs
}

// putInputs stores updates. Each takes the place of its input, or is added at the end.
func (s *model) putInputs(updates []input, now moment) {
	if len(updates) == 0 {
		return
	}
	s.inputs = slices.Clone(s.inputs)
	for _, u := range updates {
		if u.key != "" {
			s.used = withoutKey(s.used, u.key)
		}
		in := held{u, now.version, now.guessed}
		at := s.find(u.id)
		if at < 0 {
			s.inputs = append(s.inputs, in)
			continue
		}
		before := s.inputs[at].input
		s.inputs[at] = in
		s.keepKey(before, now.rules.keys)
	}
}

// withReceipt returns the runs with a receipt added or replaced.
func withReceipt(runs []run, r receipt) []run {
	runs = slices.Clone(runs)
	i := slices.IndexFunc(runs, func(of run) bool { return of.id == r.run })
	if i < 0 {
		return append(runs, run{r.run, []receipt{r}})
	}
	receipts := slices.Clone(runs[i].receipts)
	at, occupied := search(receipts, r.sequence)
	if occupied {
		receipts[at] = r
	} else {
		receipts = slices.Insert(receipts, at, r)
	}
	runs[i].receipts = receipts
	return runs
}

func search(receipts []receipt, sequence uint64) (at int, ok bool) {
	return slices.BinarySearchFunc(receipts, sequence, func(r receipt, sequence uint64) int {
		return cmp.Compare(r.sequence, sequence)
	})
}

func (s *model) find(id store.InputID) int {
	return slices.IndexFunc(s.inputs, func(in held) bool { return in.id == id })
}

// asked returns where the input is that a call asks for, by its id or by its key, or -1.
func (s *model) asked(c *call) int {
	if c.named == "" {
		return s.find(c.input)
	}
	return slices.IndexFunc(s.inputs, func(in held) bool { return in.key == c.named })
}

func (s *model) run(id store.RunID) []receipt {
	for _, r := range s.runs {
		if r.id == id {
			return r.receipts
		}
	}
	return nil
}

func (s *model) receipt(id store.RunID, sequence uint64) (receipt, bool) {
	receipts := s.run(id)
	if at, ok := search(receipts, sequence); ok {
		return receipts[at], true
	}
	return receipt{}, false
}

// nextSequence returns the sequence after the run's highest and the floor, or 0 if there is
// neither. It returns false if the highest is the last possible one.
func (s *model) nextSequence(id store.RunID) (uint64, bool) {
	highest := s.floor
	if receipts := s.run(id); len(receipts) > 0 {
		highest = floor{max(highest.sequence, receipts[len(receipts)-1].sequence), true}
	}
	if !highest.there {
		return 0, true
	}
	return highest.sequence + 1, highest.sequence != math.MaxUint64
}

func (s *model) equal(t *model) bool {
	return s == t || s.guessed == t.guessed && maps.EqualFunc(s.filed, t.filed, (*session).equal) && s.shows(t)
}

// shows reports whether a view of s shows the same as one of t.
func (s *model) shows(t *model) bool {
	sameRun := func(a, b run) bool { return a.id == b.id && slices.Equal(a.receipts, b.receipts) }
	return s.version == t.version && s.status == t.status && s.latest == t.latest && s.origin == t.origin && s.floor == t.floor && slices.Equal(s.used, t.used) &&
		slices.EqualFunc(s.versions, t.versions, version.equal) &&
		slices.Equal(s.inputs, t.inputs) && slices.EqualFunc(s.runs, t.runs, sameRun)
}

func byRuntime(history []porcupine.Operation) [][]porcupine.Operation {
	var parts [][]porcupine.Operation
	places := make(map[store.RuntimeID]int)
	for _, o := range history {
		id := o.Input.(*call).runtime
		at, ok := places[id]
		if !ok {
			at = len(parts)
			places[id] = at
			parts = append(parts, nil)
		}
		parts[at] = append(parts[at], o)
	}
	return parts
}
