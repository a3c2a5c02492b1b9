package state

import (
	"math"
	"slices"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// Prune removes what a Retention lets go of a runtime at a time, as far as one step
// goes, and reports whether there may be more.
func (s *State) Prune(id store.RuntimeID, keep store.Retention, now store.Time) (n Removed, more bool) {
	rt := s.runtimes[id]
	if rt == nil {
		return n, false
	}
	most := s.removals()
	v, before := rt.show(past), s.Totals()
	g := prune(keep, v, now, &most)
	n = g.removed(v)
	s.remove(rt, g)
	n.SnapshotBytes = before.SnapshotBytes - s.Totals().SnapshotBytes // others may have some of it
	// The keys of inputs that have gone now may be too many.
	keys := pruneKeys(keep.Keys, s.runtimes[id].few().used.values, now.Time(), 1)
	return n, most <= 0 || len(keys) > 0
}

// WouldPrune returns what State.Prune would remove of the runtime if it were as
// it is here. Of snapshots that may be less than it says, if others share them: forks,
// and what is filed under the ids of sessions.
func (v *View) WouldPrune(keep store.Retention, now store.Time) Removed {
	g := prune(keep, v, now, new(math.MaxInt))
	return g.removed(v)
}

// gone is what a Retention lets go.
type gone struct {
	runs     []*run
	receipts []*Receipt // of other runs
	inputs   []*store.InputState
	payloads []*store.InputState // other inputs
	versions []*version          // of the session
	keys     []*usedKey
}

// prune returns what a Retention lets go, up to so many records, which it counts down.
func prune(k store.Retention, v *View, now store.Time, most *int) (g gone) {
	runs, latest, inputs, counts := v.runs, v.latest, v.inputs, v.counts
	g.versions = pruneVersions(k.Sessions, v.past, now.Time(), *most)
	*most -= len(g.versions)
	g.keys = pruneKeys(k.Keys, v.used, now.Time(), *most)
	*most -= len(g.keys)
	g.runs, g.receipts = pruneRuns(k, runs, latest, most)
	drop := make(map[*run]bool, len(g.runs))
	for _, r := range g.runs {
		drop[r] = true
	}
	for r := range runs.all() {
		if *most <= 0 {
			return g
		}
		if !drop[r] {
			g.receipts = append(g.receipts, pruneRun(k, r, latest, most)...)
		}
	}
	at, going := now.Time(), make(map[*store.InputState]bool)
	for state := range inputs.All() {
		if *most <= 0 {
			return g
		}
		if hasEnded(state) && (over(k.Inputs, counts.ended()) || old(k.Inputs, state, at)) {
			g.inputs = append(g.inputs, state)
			going[state] = true
			counts.count(state, -1)
			*most -= goneRecords(state)
		}
	}
	for state := range inputs.All() {
		if *most <= 0 {
			return g
		}
		if hasPayload(state) && !going[state] && (over(k.Payloads, int(counts.payloads)) || old(k.Payloads, state, at)) {
			g.payloads = append(g.payloads, state)
			counts.payloads--
			*most -= bareRecords(state)
		}
	}
	return g
}

// goneRecords returns how many records an input counts for that goes: its key may be kept.
func goneRecords(state *store.InputState) int {
	if state.IdempotencyKey == nil {
		return 1
	}
	return 2 + len(*state.IdempotencyKey)/removalBytes
}

// bareRecords returns how many records an input counts for that is stored again without
// its payload.
func bareRecords(state *store.InputState) int {
	return 2 + (state.PayloadBytes()-len(state.PersistedInput))/removalBytes
}

// pruneRuns returns the first runs that are more than are kept, up to so many records.
// Of the last one that may be some receipts only.
func pruneRuns(k store.Retention, runs list[*run], latest *Receipt, most *int) (gone []*run, receipts []*Receipt) {
	for r := range runs.first(excess(k.Runs, runs.len, math.MaxInt)) {
		switch {
		case *most <= 0:
			return gone, receipts
		case r.id == latest.RunID:
		case r.receipts.len < *most:
			gone = append(gone, r)
			*most -= 1 + r.receipts.len
		default:
			receipts = slices.AppendSeq(receipts, r.receipts.first(*most-1))
			*most = 0
		}
	}
	return gone, receipts
}

// pruneRun returns the first receipts of a run that are more than are kept, up to so
// many.
func pruneRun(k store.Retention, r *run, latest *Receipt, most *int) (gone []*Receipt) {
	for receipt := range r.receipts.first(excess(k.ReceiptsPerRun, r.receipts.len, *most)) {
		*most--
		if receipt != latest {
			gone = append(gone, receipt)
		}
	}
	return gone
}

// pruneVersions returns the first versions of a session that are more than are kept,
// or too old, up to so many. One that is not too old keeps those after it.
func pruneVersions(k store.Keep, past list[*version], now time.Time, most int) (gone []*version) {
	for v := range past.first(most) {
		tooMany := k.Last > 0 && past.len-len(gone) >= k.Last // the last one is not in past
		tooOld := k.For > 0 && !now.Before(time.Unix(v.made, 0).Add(k.For))
		if !tooMany && !tooOld {
			break
		}
		gone = append(gone, v)
	}
	return gone
}

// excess returns how many of n are more than are kept, up to so many.
func excess(keep, n, most int) int {
	if keep <= 0 {
		return 0
	}
	return min(n-keep, most)
}

// over reports whether n inputs are more than are kept.
func over(k store.Keep, n int) bool { return k.Last > 0 && n > k.Last }

// old reports whether an input is too old to be kept.
func old(k store.Keep, state *store.InputState, now time.Time) bool {
	return k.For > 0 && !now.Before(state.UpdatedAt.Time().Add(k.For))
}

// counts are those of a runtime's inputs.
type counts struct {
	states   [9]int32 // in each, by its code; the last four are terminal
	payloads int32    // in a terminal state, and with a payload
}

func (c *counts) count(state *store.InputState, n int) {
	if state == nil {
		return
	}
	c.states[slices.Index(lifecycleCodes, state.CurrentState)] += int32(n)
	if hasPayload(state) {
		c.payloads += int32(n)
	}
}

// ended returns how many are in a terminal state.
func (c *counts) ended() int { return int(c.states[5] + c.states[6] + c.states[7] + c.states[8]) }

// in returns how many are in one of these states.
func (c *counts) in(states []store.InputLifecycleState) (n int) {
	for _, state := range states {
		if code := slices.Index(lifecycleCodes, state); code >= 0 {
			n += int(c.states[code])
		}
	}
	return n
}

// byState returns how many are in each state, but for those that none is in.
func (c *counts) byState() map[store.InputLifecycleState]int {
	all := make(map[store.InputLifecycleState]int)
	for code, n := range c.states {
		if n > 0 {
			all[lifecycleCodes[code]] = int(n)
		}
	}
	return all
}

func hasEnded(s *store.InputState) bool { return s != nil && s.CurrentState.IsTerminal() }

func hasPayload(s *store.InputState) bool { return hasEnded(s) && s.PersistedInput != nil }

// removed counts it. It is of what a View shows.
func (g *gone) removed(v *View) (n Removed) {
	n.Versions = len(g.versions)
	n.SnapshotBytes = g.textBytes(v)
	for _, r := range g.runs {
		add(&n.Totals, aRun, 1, runBytes-droppedBytes) // something is left
		addReceipts(&n.Totals, r, 1)
	}
	for _, receipt := range g.receipts {
		add(&n.Totals, aReceipt, 1, int64(receipt.bytes()))
	}
	for _, state := range g.inputs {
		add(&n.Totals, anInput, 1, int64(inputBytes+state.PayloadBytes()))
	}
	for _, state := range g.payloads {
		n.Payloads++
		n.InputBytes += int64(len(state.PersistedInput))
	}
	for _, u := range g.keys {
		add(&n.Totals, aKey, 1, u.bytes())
	}
	if len(g.keys) > 0 && len(g.keys) == v.used.len {
		n.RuntimeBytes += keysBytes
	}
	return n
}

// textBytes counts the parts of texts that only the versions that go have.
func (g *gone) textBytes(v *View) (bytes int64) {
	if len(g.versions) == 0 {
		return 0
	}
	t := tally{uses: make(map[*session.Part]int)}
	for one := range versions(v.past, v.session) {
		if one.number > g.versions[len(g.versions)-1].number {
			t.add(one.root())
		}
	}
	kept := t.bytes
	for _, one := range g.versions {
		t.add(one.root())
	}
	return t.bytes - kept + int64(versionBytes*len(g.versions))
}

// remove removes it.
func (s *State) remove(rt *runtime, g gone) {
	if len(g.runs)+len(g.receipts)+len(g.inputs)+len(g.payloads)+len(g.versions)+len(g.keys) == 0 {
		return
	}
	rt = s.touch(rt)
	for _, r := range g.runs {
		s.dropRun(rt, r)
	}
	for _, v := range g.versions {
		s.set(rt, part{kind: aPast, at: v.number}, value{})
	}
	for _, u := range g.keys {
		at, _ := rt.few().used.place(u.key)
		s.set(rt, part{kind: aKey, at: at}, value{})
	}
	for _, receipt := range g.receipts {
		at := s.openRun(rt, receipt.RunID)
		s.set(rt, part{kind: aReceipt, at: at, nth: receipt.Sequence}, value{})
	}
	for _, state := range g.inputs {
		at, _ := rt.inputs.place(state.InputID)
		s.putInput(rt, at, input{})
	}
	for _, state := range g.payloads {
		bare := *state
		bare.PersistedInput = nil
		at, _ := rt.inputs.place(bare.InputID)
		s.putInput(rt, at, input{&bare, s.Pending()})
	}
}

// swept is how far a State's Retention has looked at a runtime.
type swept struct {
	began            int64    // the last sweep by age, in Unix nanoseconds
	going            bool     // it has not looked at everything yet
	runs             uint64   // place of the next to look at
	inputs, payloads scan     // of those that have ended
	changed          []uint64 // places of inputs that the operation has changed
}

// A scan looks at inputs by their places.
type scan struct {
	first uint64 // there is none before
	next  uint64 // the next to look at by age
}

// note takes notice of an input that comes to a place.
func (w *swept) note(at uint64, state *store.InputState) {
	if hasEnded(state) {
		w.inputs.first = min(w.inputs.first, at)
	}
	if hasPayload(state) {
		w.payloads.first = min(w.payloads.first, at)
	}
}

// goBack takes notice that a part is what it was, and so may have to go again.
func (w *swept) goBack(p part) {
	switch p.kind {
	case aRun, aReceipt:
		w.runs = min(w.runs, p.at)
	case anInput:
		w.inputs.next, w.payloads.next = min(w.inputs.next, p.at), min(w.payloads.next, p.at)
	}
	w.changed = w.changed[:0]
}

// sweepAtOnce is how many records an operation looks at besides those that it
// has changed. The next one goes on.
const sweepAtOnce = 1000

func (s *State) sweepAtOnce() int { return min(sweepAtOnce, s.removals()) }

// retain removes what the State's Retention lets go of the runtimes that an
// operation has changed.
func (s *State) retain(changes []change) {
	budget := s.sweepAtOnce() + 2*len(changes) // so what there was too much before goes on to get less
	for _, c := range changes {
		if c.rt != nil && !c.rt.deleted {
			s.retainAfter(c, &budget)
		}
	}
	for _, t := range s.changed {
		if !t.rt.deleted {
			s.sweep(t.rt, &budget)
		}
	}
	if len(s.changed) > 0 { // what changes nothing is no revision
		s.sweepStones(&budget)
	}
}

// retainAfter looks at what one change has made too many, or may have made too
// old.
func (s *State) retainAfter(c change, most *int) {
	var r *run
	switch rt := c.rt; c.part.kind {
	case aReceipt:
		r, _ = rt.runs.values.get(c.part.at)
	case theLatest: // the one before it may go now
		if before := c.old.receipt; before != nil {
			r, _, _ = rt.runs.find(before.RunID)
		}
	case anInput:
		rt.swept.changed = append(rt.swept.changed, c.part.at)
	}
	if r != nil {
		s.remove(c.rt, gone{receipts: pruneRun(s.Retention, r, c.rt.latest, most)})
	}
}

// sweep removes what is too many or too old of a runtime, as far as the budget of the
// operation goes. A
// sweep by age begins when a 64th of the age has passed, or the clock went back
// by as much.
func (s *State) sweep(rt *runtime, budget *int) {
	k, w, now := s.Retention, &rt.swept, s.Now.Time()
	if age := shortest(k.Inputs.For, k.Payloads.For); age > 0 && !w.going && time.Duration(now.UnixNano()-w.began).Abs() >= age/64 {
		w.began, w.going, w.inputs.next, w.payloads.next = now.UnixNano(), true, 0, 0
	}
	versions := pruneVersions(k.Sessions, rt.past, now, *budget)
	s.remove(rt, gone{versions: versions})
	*budget -= len(versions)
	defer func() { // after the inputs, whose keys may have come to these
		keys := pruneKeys(k.Keys, rt.few().used.values, now, max(*budget, 2))
		s.remove(rt, gone{keys: keys})
	}()
	runs, receipts := pruneRuns(k, rt.runs.values, rt.latest, budget)
	s.remove(rt, gone{runs: runs, receipts: receipts})
	for at, r := range rt.runs.values.from(w.runs) {
		s.remove(rt, gone{receipts: pruneRun(k, r, rt.latest, budget)})
		if *budget--; *budget <= 0 {
			return
		}
		w.runs = at + 1
	}
	s.remove(rt, gone{inputs: w.inputs.look(k.Inputs, rt, rt.counts.ended(), now, hasEnded, goneRecords, budget)})
	if *budget > 0 { // of those that stay
		s.remove(rt, gone{payloads: w.payloads.look(k.Payloads, rt, int(rt.counts.payloads), now, hasPayload, bareRecords, budget)})
	}
	w.changed = w.changed[:0]
	w.going = w.going && *budget <= 0
}

// look returns those of n inputs that match and are not kept, as far as the
// budget goes.
func (w *scan) look(k store.Keep, rt *runtime, n int, now time.Time, match func(*store.InputState) bool, records func(*store.InputState) int, budget *int) (gone []*store.InputState) {
	take := func(state *store.InputState) {
		gone = append(gone, state)
		*budget -= records(state)
	}
	if over(k, n) {
		for at, in := range rt.inputs.values.from(w.first) {
			state := in.InputState
			if !over(k, n) || *budget <= 0 {
				break
			}
			if match(state) {
				take(state)
				n--
			} else {
				*budget--
			}
			w.first = at + 1
		}
	}
	for _, at := range rt.swept.changed {
		if in, _ := rt.inputs.values.get(at); match(in.InputState) && old(k, in.InputState, now) {
			gone = append(gone, in.InputState)
		}
	}
	if k.For > 0 {
		for at, in := range rt.inputs.values.from(max(w.next, w.first)) {
			state := in.InputState
			if *budget <= 0 {
				break
			}
			if match(state) && old(k, state, now) {
				take(state)
			} else {
				*budget--
			}
			w.next = at + 1
		}
	}
	return gone
}

// shortest returns the shorter of two ages, of which 0 is none.
func shortest(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}
